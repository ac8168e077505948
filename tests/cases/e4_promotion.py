"""What two dtypes multiply to."""

import torch

t = torch.tensor


def ones(dtype, *shape):
    return torch.ones(shape or (2,), dtype=dtype)


def gives(product, dtype):
    assert product.dtype == dtype, product.dtype


gives(ones(torch.int64) * ones(torch.float32), torch.float32)
gives(ones(torch.int64) * 2.5, torch.get_default_dtype())
gives(2.5 * ones(torch.int64), torch.float32)
gives(ones(torch.int8) * ones(torch.uint8), torch.int16)
gives(ones(torch.float16) * ones(torch.bfloat16), torch.float32)
gives(ones(torch.int32) * t(3), torch.int32)
gives(ones(torch.float32) * t(3.0, dtype=torch.float64), torch.float32)
gives(ones(torch.float32) * ones(torch.float64), torch.float64)
gives(ones(torch.float64) * ones(torch.complex64), torch.complex128)
gives(ones(torch.bool) * ones(torch.bool), torch.bool)
gives(ones(torch.int64) * ones(torch.float16), torch.float16)
wrapped = t([1], dtype=torch.uint8) * 300
gives(wrapped, torch.uint8)
assert wrapped.item() == 44
torch.set_default_dtype(torch.float64)
gives(ones(torch.int64) * 2.5, torch.float64)
torch.set_default_dtype(torch.float32)
