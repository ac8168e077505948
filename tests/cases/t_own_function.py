"""One's own autograd Functions, hooks, higher derivatives, vmap-free Jacobians, functional_call, gradient penalty."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function, Variable, grad, gradcheck
from torch.autograd.function import once_differentiable
from torch.autograd.functional import hessian, jacobian


class LegendrePolynomial3(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input**3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input**2 - 1)


class Clamp(Function):
    @staticmethod
    def forward(ctx, x, low, high):
        ctx.save_for_backward(x)
        ctx.low, ctx.high = low, high
        ctx.set_materialize_grads(False)
        return x.clamp(low, high)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        if ctx.needs_input_grad[0]:
            (x,) = ctx.saved_tensors
            g = g * ((x >= ctx.low) & (x <= ctx.high)).to(g.dtype)
        return g, None, None


class Exp(Function):
    @staticmethod
    def forward(x):
        return x.exp()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


class GradReverse(Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -ctx.scale * g, None


torch.manual_seed(0)
x = torch.linspace(-torch.pi, torch.pi, 200, dtype=torch.float)
y = torch.sin(x)
a, b, c, d = (torch.full((), v, requires_grad=True) for v in (0.0, -1.0, 0.0, 0.3))
learning_rate = 5e-5
for t in range(200):
    y_pred = a + b * LegendrePolynomial3.apply(c + d * x)
    loss = (y_pred - y).pow(2).sum()
    if t % 50 == 49:
        print(t, f"{loss.item():.3f}")
    loss.backward()
    with torch.no_grad():
        for p in (a, b, c, d):
            p -= learning_rate * p.grad
            p.grad = None
print(f"Result: y = {abs(a.item()):.3f} + {b.item():.3f} * P3({abs(c.item()):.3f} + {d.item():.3f} x)")

v = torch.randn(5, dtype=torch.double, requires_grad=True)
print(gradcheck(LegendrePolynomial3.apply, (v,)), gradcheck(Exp.apply, v))
clamped = Clamp.apply(v * 2, -1.0, 1.0)
clamped.sum().backward()
print(v.grad, clamped.grad_fn.name())
w = torch.ones(3, requires_grad=True)
GradReverse.apply(w, 0.5).sum().backward()
print(w.grad)

print(jacobian(lambda t: t**2, torch.arange(3.0)))
print(hessian(lambda t: (t**3).sum(), torch.arange(3.0)))
u = torch.tensor(1.5, requires_grad=True)
(first,) = grad(u.sin(), u, create_graph=True)
(second,) = grad(first, u, create_graph=True)
(third,) = grad(second, u)
print(first.item(), second.item(), third.item())

net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
seen = []
handles = [
    net[0].register_forward_hook(lambda module, args, output: seen.append(("forward", tuple(output.shape)))),
    net[2].register_full_backward_hook(lambda module, gi, go: seen.append(("backward", tuple(gi[0].shape)))),
    net[0].register_forward_pre_hook(lambda module, args: (args[0] * 1.0,)),
]
inputs = Variable(torch.randn(6, 4), requires_grad=True)
inputs.register_hook(lambda g: g * 2)
out = net(inputs)
gradients = grad(out, inputs, grad_outputs=torch.ones_like(out), create_graph=True, retain_graph=True)[0]
penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean()
penalty.backward()
print(seen, f"{penalty.item():.4f} {net[0].weight.grad.abs().sum().item():.4f}")
for handle in handles:
    handle.remove()

params = {name: p.detach() * 0 for name, p in net.named_parameters()}
print(torch.func.functional_call(net, params, (inputs,)).sum())
intermediate = net[0](inputs)
intermediate.retain_grad()
F.mse_loss(net[1:](intermediate), torch.zeros(6, 1)).backward()
print(intermediate.grad.shape, intermediate.is_leaf, intermediate.grad_fn.name())
with torch.autograd.set_detect_anomaly(True), torch.enable_grad():
    print(torch.autograd.grad((inputs**2).sum(), inputs)[0].shape)
