/* Counts the instructions that a program executes under QEMU's user mode, by their encoding.
 *
 * The program draws lines by prctl(LINE, number). At each line, what was executed since the line
 * before is written to the file DIRECTORY/number, and for number 0 is forgotten: pairs of 64-bit
 * words, encoding and count, in the host's byte order. Only the thread that draws the lines counts:
 * what others do, and when, is chance. Whole blocks of code are counted: one that a fault cuts short
 * counts in full, and the program takes no faults between its lines.
 *
 * The few declarations of QEMU's plugin interface that are used stand here, since distributions do
 * not ship its header; API is the version of that interface.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE 0x646f7631
#define PRCTL 167
#define SLOTS (1u << 21)

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated)(plugin_id, struct qemu_plugin_tb *);
typedef void (*executed)(unsigned, void *);
typedef void (*called)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                       uint64_t, uint64_t, uint64_t, uint64_t);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, executed, int, void *);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, called);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
#if API < 3
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
#else
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *, void *, size_t);
#endif

struct block {
    struct block *next;
    uint64_t times, seen;
    size_t length;
    uint32_t words[];
};

__attribute__((visibility("default"))) int qemu_plugin_version = API;
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks;
static struct { uint64_t word, count; } table[SLOTS]; /* A count of zero: the slot is free. */
static const char *directory;
static unsigned drawing = -1u; /* The thread's number. */

static void fail(const char *why)
{
    fprintf(stderr, "counter: %s\n", why);
    abort();
}

static uint32_t word_of(const struct qemu_plugin_insn *instruction)
{
    uint32_t word = 0;
#if API < 3
    memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
#else
    qemu_plugin_insn_data(instruction, &word, sizeof word);
#endif
    return word;
}

static void run(unsigned vcpu, void *data)
{
    if (vcpu == drawing)
        ((struct block *)data)->times++;
}

static void translate(plugin_id id, struct qemu_plugin_tb *code)
{
    size_t length = qemu_plugin_tb_n_insns(code);
    struct block *block = calloc(1, sizeof *block + length * sizeof block->words[0]);
    (void)id;
    if (!block)
        fail("no memory");
    block->length = length;
    for (size_t i = 0; i < length; i++)
        block->words[i] = word_of(qemu_plugin_tb_get_insn(code, i));
    pthread_mutex_lock(&busy);
    block->next = blocks;
    blocks = block;
    pthread_mutex_unlock(&busy);
    qemu_plugin_register_vcpu_tb_exec_cb(code, run, 0, block);
}

static void add(uint32_t word, uint64_t count)
{
    uint32_t slot = word * 2654435761u >> 11;
    for (uint32_t tries = 0; table[slot].count && table[slot].word != word; tries++) {
        if (tries == SLOTS)
            fail("too many different instructions");
        slot = (slot + 1) % SLOTS;
    }
    table[slot].word = word;
    table[slot].count += count;
}

static void line(uint64_t number)
{
    char path[4096];
    FILE *file;
    memset(table, 0, sizeof table);
    for (struct block *block = blocks; block; block = block->next) {
        for (size_t i = 0; number && block->times > block->seen && i < block->length; i++)
            add(block->words[i], block->times - block->seen);
        block->seen = block->times;
    }
    if (!number)
        return;
    snprintf(path, sizeof path, "%s/%llu", directory, (unsigned long long)number);
    if (!(file = fopen(path, "wxe")))
        fail("the counts cannot be written");
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (table[slot].count && fwrite(&table[slot], sizeof table[slot], 1, file) != 1)
            fail("the counts cannot be written");
    if (fclose(file))
        fail("the counts cannot be written");
}

static void system_call(plugin_id id, unsigned vcpu, int64_t number, uint64_t first,
                        uint64_t second, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                        uint64_t a7, uint64_t a8)
{
    (void)id, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != PRCTL || first != LINE)
        return;
    pthread_mutex_lock(&busy);
    drawing = vcpu;
    line(second);
    pthread_mutex_unlock(&busy);
}

__attribute__((visibility("default"))) int
qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments)
{
    (void)info;
    if (count != 1 || strncmp(arguments[0], "to=", 3))
        fail("give to=DIRECTORY");
    directory = strdup(arguments[0] + 3);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_vcpu_syscall_cb(id, system_call);
    return 0;
}
