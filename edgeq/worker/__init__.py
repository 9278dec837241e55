"""The worker process: the only place where the llama.cpp binding is loaded.

Run as ``python -m edgeq.worker REQUEST.json --events EVENTS.jsonl``. A request is ``{"op": name, ...}``:

- ``file_types``: every file type that this llama.cpp knows.
- ``plan``: dry runs; for each job the types of all tensors and whether an importance matrix is needed.
- ``quantize``: for each job one GGUF file.
- ``encode``: tensors of a model as some types, each into a file of the pool.
- ``tokenize``: texts to token ids.
- ``tokenize_items``: prompts with possible answers to token ids.
"""
