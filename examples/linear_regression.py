"""Linear regression: gradient descent on a squared error arrives where the equations of least squares do.

One learns: a tensor that requires grad, a loss, backward(), a step; and how many steps are enough.
"""

import torch

torch.manual_seed(0)
x = torch.randn(200, 3)
weights, bias = torch.tensor([1.5, -2.0, 0.5]), 4.0
y = x @ weights + bias + 0.1 * torch.randn(200)

w = torch.zeros(3, requires_grad=True)
b = torch.zeros((), requires_grad=True)
for step in range(101):
    loss = ((x @ w + b - y) ** 2).mean()
    if step % 20 == 0:
        print(f"step {step:3}: loss {loss.item():.6f}")
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        b -= 0.1 * b.grad
    w.grad = b.grad = None

# The same answer at once: a column of ones makes the bias one more weight.
columns = torch.cat([x, torch.ones(200, 1)], dim=1)
exact = torch.linalg.lstsq(columns, y[:, None]).solution.flatten()
found = torch.cat([w.detach(), b.detach()[None]])
print("made from     ", " ".join(f"{v:8.4f}" for v in [*weights.tolist(), bias]))
print("learned       ", " ".join(f"{v:8.4f}" for v in found.tolist()))
print("least squares ", " ".join(f"{v:8.4f}" for v in exact.tolist()))
assert torch.allclose(found, exact, atol=1e-4)
