"""The vectors that training users have in some models, and their optimizer: a batch costs only its own users.

Adam of a whole matrix would go through every user's vector and moments in each step, though the gradient of almost
all is zero: measured for 136,677 users, 200 numbers each and batches of 500, 232 ms a step of one core, where this
takes 6. Here each vector has an Adam of its own, which steps when its user is in a batch. A pass has every user once,
so the number of steps each has taken is the number of passes: there are no counters.
"""

from __future__ import annotations

import torch

from distrecvae.training.schemes.state import BETA1, BETA2

_EPSILON = 1e-8  # Adam's own, and that of `torch.optim.Adam`


class UserVectors:
    """A vector for each training user, zero at first.

    Args:
        n_users: number of training users.
        dim: length of a vector.
        learning_rate: of Adam.
        device: where they are.
        dtype: of vectors and moments.

    Attributes:
        values: (n_users, dim).
    """

    def __init__(
        self, n_users: int, dim: int, learning_rate: float, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.values, self._first, self._second = (
            torch.zeros(n_users, dim, device=device, dtype=dtype) for _ in range(3)
        )
        self._learning_rate = learning_rate
        # Scalars that a recorded step reads: Adam's corrections of the pass that is under way.
        self._spread, self._rate = (torch.ones((), device=device, dtype=dtype) for _ in range(2))

    def begin(self, number: int) -> None:
        """Begin a pass: the step that each user's Adam takes in it is its `number`-th, counted from 1."""
        self._spread.fill_(1 - BETA2**number)
        self._rate.fill_(-self._learning_rate / (1 - BETA1**number))

    def of(self, users: torch.Tensor) -> torch.Tensor:
        """Return a copy of the vectors of `users`, int64 (n_rows,), to take gradients by: (n_rows, dim)."""
        return self.values[users].requires_grad_()

    def step(self, users: torch.Tensor, gradient: torch.Tensor) -> None:
        """Take the step of each of `users`' Adam in the current pass.

        Args:
            users: int64, (n_rows,), each at most once.
            gradient: (n_rows, dim), of what is minimized by their vectors.
        """
        first = self._first[users].lerp_(gradient, 1 - BETA1)
        second = self._second[users].mul_(BETA2)
        second.addcmul_(gradient, gradient, value=1 - BETA2)
        self._first[users], self._second[users] = first, second
        spread = second.div_(self._spread).sqrt_().add_(_EPSILON)
        self.values[users] += first.mul_(self._rate).div_(spread)

    def named_tensors(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return everything that training changes, by name, ``prefix`` first, not copied."""
        return {
            f"{prefix}vector": self.values,
            f"{prefix}exp_avg": self._first,
            f"{prefix}exp_avg_sq": self._second,
        }
