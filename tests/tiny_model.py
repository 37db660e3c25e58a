"""A language model of a few thousand weights, made here, behind the server that comes with transformers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from deployments.ports import free_port

WORDS = "the a it is in at noon ferry train leaves comes and not".split()
_TEMPLATE = "{% for message in messages %}<s> {{ message['content'] }} {% endfor %}"
_START_S = 240.0


def make_tiny_model(folder: Path) -> None:
    """An untrained Llama whose words are ``WORDS``, in the format of transformers. What it says makes no sense."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {word: place for place, word in enumerate(["<unk>", "<s>", "</s>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    named = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    named.chat_template = _TEMPLATE
    named.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        max_new_tokens=12, min_new_tokens=4, do_sample=True, suppress_tokens=[0, 1], eos_token_id=2, pad_token_id=2
    )
    model.save_pretrained(folder)


@contextmanager
def running_transformers(folder: Path) -> Iterator[str]:
    """Serve the model of a folder until the block ends; gives the base URL of OpenAI's protocol."""
    port = free_port()
    served = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", str(folder)]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", *served]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline_s = time.monotonic() + _START_S
        while not _answers(url):
            if server.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError((folder / "server.log").read_text()[-2000:])
            time.sleep(0.2)
        yield f"{url}/v1"
    finally:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
