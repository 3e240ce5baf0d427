"""The classes of causal language models that are built, and the words for any other.

In: the class that a config names. Out: a sentence.
"""

from typing import Final

from deployopt.core.text import safe_text

DECODER_CLASSES: Final = (
    "Ernie4_5ForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM", "GemmaForCausalLM",
    "GraniteForCausalLM", "HunYuanDenseV1ForCausalLM", "LlamaForCausalLM", "MistralForCausalLM",
    "NemotronForCausalLM", "Phi3ForCausalLM", "PhiForCausalLM", "Qwen2ForCausalLM",
    "Qwen3ForCausalLM", "SmolLM3ForCausalLM",
)  # fmt: skip
"""Of onnxruntime-genai's those of which its float graph says what torch says of the model."""


def unknown_decoder(name: str) -> str:
    """What to tell whoever brings another."""
    return (
        f"The model builder of onnxruntime-genai does not build {safe_text(name, 80)}. It builds "
        f"{', '.join(DECODER_CLASSES)}. Take a model of one of these classes: the Llama, SmolLM, "
        "Qwen2.5, Qwen3, Mistral, Gemma 2 and 3 and Phi-3 models are."
    )
