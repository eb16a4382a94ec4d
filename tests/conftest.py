"""What pytest does around the tests of some modules. Written by hand."""

import pytest
import torch

SMALL = ("test_optim", "test_trainer")  # their products only lose by more threads, much where others use the cores


@pytest.fixture(autouse=True)
def one_thread(request):
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if request.module.__name__ in SMALL else threads)
    yield
    torch.set_num_threads(threads)
