/* A driver whose card is this process's memory, with the prototypes of NVIDIA's cuda.h (12.x).
 *
 * What is begun on the stream is done when it is waited for. Capturing keeps copies of nothing: a
 * graph is the list of what was begun meanwhile, here memsets of a byte more.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct context *CUcontext;
typedef struct stream *CUstream;
typedef struct event *CUevent;
typedef struct graph *CUgraph;
typedef struct ready *CUgraphExec;

enum { OK = 0, INVALID = 1, MOST = 64 };
struct work { int kind; void *to; const void *from; size_t size; struct event *event; };
struct stream { struct work begun[MOST]; int count; int capturing; struct work captured[MOST]; int taken; };
struct event { float at_ms; int reached; };
struct graph { struct work work[MOST]; int count; };
struct ready { struct work work[MOST]; int count; };

static struct stream the_stream;
static float now_ms;
int fake_refuses_capture = 0;
int fake_pinned = 0;

CUresult cuInit(unsigned int flags) { return flags ? INVALID : OK; }
CUresult cuDriverGetVersion(int *version) { *version = 12080; return OK; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { *device = ordinal; return ordinal ? INVALID : OK; }
CUresult cuDeviceGetAttribute(int *found, int attribute, CUdevice device)
{
    *found = attribute == 75 ? 8 : 6;
    return device ? INVALID : OK;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    *context = (CUcontext)&the_stream;
    return device ? INVALID : OK;
}
CUresult cuCtxSetCurrent(CUcontext context) { return context ? OK : INVALID; }
CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
    *stream = &the_stream;
    return flags ? INVALID : OK;
}
CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size)
{
    *address = (CUdeviceptr)malloc(size);
    return *address ? OK : 2;
}
CUresult cuMemFree_v2(CUdeviceptr address) { free((void *)address); return OK; }
CUresult cuMemHostAlloc(void **address, size_t size, unsigned int flags)
{
    *address = malloc(size);
    fake_pinned++;
    return flags ? INVALID : OK;
}
CUresult cuMemFreeHost(void *address) { free(address); fake_pinned--; return OK; }

static CUresult begin(CUstream stream, struct work work)
{
    struct work *list = stream->capturing ? stream->captured : stream->begun;
    int *count = stream->capturing ? &stream->taken : &stream->count;
    if (stream != &the_stream || *count == MOST)
        return INVALID;
    list[(*count)++] = work;
    return OK;
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream stream)
{
    return begin(stream, (struct work){0, (void *)to, from, size, NULL});
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream)
{
    return begin(stream, (struct work){0, to, (const void *)from, size, NULL});
}
CUresult fake_add_one(CUdeviceptr at, size_t size, CUstream stream)
{
    return begin(stream, (struct work){1, (void *)at, NULL, size, NULL});
}
CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
    *event = calloc(1, sizeof **event);
    return flags ? INVALID : OK;
}
CUresult cuEventRecord(CUevent event, CUstream stream)
{
    return begin(stream, (struct work){2, NULL, NULL, 0, event});
}
CUresult cuEventElapsedTime(float *ms, CUevent first, CUevent second)
{
    if (!first->reached || !second->reached)
        return 600; /* not ready */
    *ms = second->at_ms - first->at_ms;
    return OK;
}
static void done(const struct work *work)
{
    now_ms += 1.0f;
    if (work->kind == 0)
        memcpy(work->to, work->from, work->size);
    else if (work->kind == 1)
        for (size_t k = 0; k < work->size; k++)
            ((unsigned char *)work->to)[k]++;
    else {
        work->event->at_ms = now_ms;
        work->event->reached = 1;
    }
}
CUresult cuStreamSynchronize(CUstream stream)
{
    for (int k = 0; k < stream->count; k++)
        done(&stream->begun[k]);
    stream->count = 0;
    return stream->capturing ? INVALID : OK;
}
CUresult cuStreamBeginCapture_v2(CUstream stream, int mode)
{
    if (fake_refuses_capture || mode != 1)
        return 900;
    stream->capturing = 1;
    stream->taken = 0;
    return OK;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
    if (!stream->capturing)
        return INVALID;
    stream->capturing = 0;
    *graph = calloc(1, sizeof **graph);
    memcpy((*graph)->work, stream->captured, sizeof stream->captured);
    (*graph)->count = stream->taken;
    return OK;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec *ready, CUgraph graph, unsigned long long flags)
{
    *ready = calloc(1, sizeof **ready);
    memcpy((*ready)->work, graph->work, sizeof graph->work);
    (*ready)->count = graph->count;
    return flags ? INVALID : OK;
}
CUresult cuGraphDestroy(CUgraph graph) { free(graph); return OK; }
CUresult cuGraphLaunch(CUgraphExec ready, CUstream stream)
{
    for (int k = 0; k < ready->count; k++)
        if (begin(stream, ready->work[k]) != OK)
            return INVALID;
    return OK;
}
