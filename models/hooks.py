"""Forward hooks of networks that several threads use at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def of_this_thread(hook: Callable[..., None]) -> Callable[..., None]:
    """A forward hook that is idle when another thread calls the module.

    A hook belongs to the module, not to the call. Without this, one thread would keep what another one has computed.

    Parameters
    ----------
    hook : callable
        (module, inputs, output) -> None.

    Examples
    --------
    >>> import torch
    >>> module, caught = torch.nn.Identity(), []
    >>> handle = module.register_forward_hook(of_this_thread(lambda module, inputs, output: caught.append(output)))
    >>> other = threading.Thread(target=module, args=(1,))
    >>> other.start(), other.join(), module(2), caught
    (None, None, 2, [2])
    """
    thread = threading.get_ident()

    def kept(*arguments: Any) -> None:
        if threading.get_ident() == thread:
            hook(*arguments)

    return kept
