"""Does every ATen operator of the GPU path have a CUDA kernel? To be run by hand, where PyTorch's CUDA build can be.

    python benchmarks/cuda_operators.py list operators.json     # with this package and its tests; no GPU
    python benchmarks/cuda_operators.py check operators.json    # with a CUDA build of PyTorch alone; no GPU

The first runs all models on the soft device of tests/soft_cuda (training in both precisions, recorded and not,
scoring, ranking, recommending) and writes down what they call. The second asks PyTorch's dispatcher, prints what has no
kernel for the key CUDA, and exits with status 1 if there is anything.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

FACTORIES = {
    "empty": "empty.memory_format",
    "arange": "arange.start_step",
    "rand": "rand.generator",
    "randn": "randn.generator",
}
"""What the soft device names as Python does, by the operator that it ends in."""


def called() -> Counter[str]:
    """Return how often each operator was called, by name."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from distrecvae.data.dataset import HeldOutUsers
    from distrecvae.evaluation import evaluate
    from distrecvae.precisions import PRECISIONS
    from distrecvae.recommendation import best_items
    from distrecvae.training import registry
    from tests.kernels.random_users import random_users
    from tests.soft_cuda import soft_cuda
    from tests.training.test_registry import SMALL

    train, calls = random_users(n_users=70, n_items=250), Counter[str]()
    for model in registry.models():
        for precision in PRECISIONS:
            if precision != registry.precision_for(model, "auto", precision):
                continue
            neural = has_batches(model)
            own = SMALL.get(model, {}) | ({"batch_size": 10} if neural else {})
            config = registry.config_from_dict(model, own)
            with soft_cuda() as device:
                trainer = registry.make_trainer(
                    model, config, train, seed=1, device="cuda", precision=precision
                )
                while trainer.passes < (12 if neural else 1) and not trainer.solved:
                    trainer.step()
                evaluate(trainer.model, HeldOutUsers(train, train))
                list(best_items(trainer.model, train, top=10, hidden=train))
                trainer.load_state_dict(trainer.state_dict())
                calls += device.calls
                for capture in device.captures:
                    calls += Counter(capture.names)
            print(f"{model} {precision}: {len(calls)} operators so far", file=sys.stderr)
    return calls


def has_batches(model: str) -> bool:
    """Return whether a model is trained in batches."""
    from distrecvae.training import registry

    return "batch_size" in {field.name for field in fields(registry.config_class(model))}


def without_a_kernel(names: list[str]) -> list[str]:
    """Return those operators that this PyTorch has no CUDA kernel for, a composite one of others counted as one."""
    missing = []
    for name in names:
        operator = "aten::" + FACTORIES.get(name, name.removeprefix("aten.").removesuffix(".default"))
        keys = ("CUDA", "CompositeImplicitAutograd", "CompositeExplicitAutograd")
        try:
            found = any(
                torch._C._dispatch_has_computed_kernel_for_dispatch_key(operator, key) for key in keys[:1]
            )
            found = found or any(
                torch._C._dispatch_has_kernel_for_dispatch_key(operator, key) for key in keys[1:]
            )
        except RuntimeError:
            found = False  # there is no such operator
        if not found:
            missing.append(operator)
    return missing


def main(command: str, file: str) -> int:
    """Write the list, or check it; return the exit status."""
    path = Path(file)
    if command == "list":
        operators: dict[str, Any] = {"torch": torch.__version__, "calls": dict(sorted(called().items()))}
        path.write_text(json.dumps(operators, indent=1) + "\n", encoding="utf-8")
        print(f"{len(operators['calls'])} operators in {path}")
        return 0
    names = list(json.loads(path.read_text(encoding="utf-8"))["calls"])
    missing = without_a_kernel(names)
    print(
        f"torch {torch.__version__}, CUDA {torch.version.cuda}: {len(names)} operators, {len(missing)} without a kernel"
    )
    for operator in missing:
        print(f"  {operator}")
    if torch.version.cuda is None:
        print("this PyTorch is not built for CUDA: the answer says nothing")
        return 1
    return 1 if missing else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("list", "check"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
