"""Optimisers and schedules: step for step against torch where it is installed, against their definitions always."""

import copy
import doctest
import functools
import importlib
import inspect
import pickle
import warnings

import numpy as np
import pytest
from harness import OURS, H

optim = H.optim
START = [np.random.default_rng(5).standard_normal(s) for s in ((3, 2), (4,))]


def oracle():
    return pytest.importorskip("torch")


def parameters(lib, dtype="float64"):
    return [lib.nn.Parameter(lib.from_numpy(a.astype(dtype))) for a in START]


OPTIMIZERS = {
    "SGD": lambda o, p: o.SGD(p, 0.1),
    "SGD-momentum": lambda o, p: o.SGD(p, 0.01, 0.9, 0.1, 0.01),
    "SGD-nesterov": lambda o, p: o.SGD(p, 0.01, 0.9, nesterov=True, weight_decay=0.1, maximize=True),
    "SGD-groups": lambda o, p: o.SGD([{"params": p[:1]}, {"params": p[1:], "lr": 0.5}], 0.1, momentum=0.5),
    "SGD-names": lambda o, p: o.SGD([("a", p[0]), ("b", p[1])], 0.1),
    "Adam": lambda o, p: o.Adam(p, 0.1),
    "Adam-all": lambda o, p: o.Adam(p, 0.1, (0.8, 0.9), 1e-3, 0.1, True, maximize=True),
    "Adam-decoupled": lambda o, p: o.Adam(p, 0.1, weight_decay=0.1, decoupled_weight_decay=True),
    "AdamW": lambda o, p: o.AdamW(p, 0.1, amsgrad=True),
    "RMSprop": lambda o, p: o.RMSprop(p, 0.1),
    "RMSprop-all": lambda o, p: o.RMSprop(p, 0.1, 0.9, 1e-3, 0.1, 0.9, True, maximize=True),
    "Adagrad": lambda o, p: o.Adagrad(p, 0.1, 0.1, 0.1, 0.1),
    "Adadelta": lambda o, p: o.Adadelta(p, weight_decay=0.1),
    "Adamax": lambda o, p: o.Adamax(p, weight_decay=0.1),
    "NAdam": lambda o, p: o.NAdam(p, weight_decay=0.1),
    "NAdam-decoupled": lambda o, p: o.NAdam(p, weight_decay=0.1, decoupled_weight_decay=True),
    "RAdam": lambda o, p: o.RAdam(p, 0.1, weight_decay=0.1),
    "ASGD": lambda o, p: o.ASGD(p, 0.1, lambd=0.1, t0=3, weight_decay=0.1),
    "Rprop": lambda o, p: o.Rprop(p, 0.1, (0.4, 1.5), (1e-3, 0.2)),
    "Adafactor": lambda o, p: o.Adafactor(p, 0.1, weight_decay=0.1),
    "Adafactor-all": lambda o, p: o.Adafactor(p, 0.3, -0.5, (1e-3, 1e-2), 1.5, 0.1, maximize=True),
    "Muon": lambda o, p: o.Muon(p[:1], 0.01, weight_decay=0.1),
    "Muon-all": lambda o, p: o.Muon(p[:1], 0.01, 0.2, 0.9, False, (3.0, -4.0, 2.0), 1e-6, 3, "match_rms_adamw"),
    "LBFGS": lambda o, p: o.LBFGS(p, 0.1),
    "LBFGS-wolfe": lambda o, p: o.LBFGS(p, line_search_fn="strong_wolfe", history_size=4),
}


def run(lib, make, steps, schedule=None, state=None):
    params = parameters(lib)
    optimizer = make(lib.optim, params)
    if state is not None:
        optimizer.load_state_dict(state)
    plan = schedule(lib.optim.lr_scheduler, optimizer) if schedule else None
    rates = []
    for _ in range(steps):

        def closure():
            optimizer.zero_grad()
            loss = sum(((p - 0.5).abs() ** 3).sum() for p in params)
            loss.backward()
            return loss

        loss = optimizer.step(closure)
        if plan is not None:
            plan.step(float(loss)) if "Plateau" in type(plan).__name__ else plan.step()
            rates.append((plan.get_last_lr(), [g.get("momentum") or g.get("betas") for g in optimizer.param_groups]))
    return params, optimizer, plan, rates


def plain(x):
    """Tensors as arrays, at any depth."""
    if hasattr(x, "detach"):
        return x.detach().numpy()
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(plain(v) for v in x)
    return x


def same(a, b, where="", tol=1e-9):
    assert type(a) is type(b) or isinstance(a, (int, float)), (where, a, b)
    if isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            same(a[key], b[key], f"{where}.{key}", tol)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}[{i}]", tol)
    elif isinstance(a, (np.ndarray, float)):
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol if tol > 1e-6 else 1e-12, err_msg=where)
    else:
        assert a == b, where


def tolerance(name):
    if "LBFGS" in name:  # a line search turns the last bits of a sum into another step length
        return 1e-5
    return 4e-2 if "Muon" in name else 1e-9  # Muon computes in bfloat16


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_torchs(name):
    torch = oracle()
    make = OPTIMIZERS[name]
    steps = 3 if "LBFGS" in name else 20
    mine, theirs = run(H, make, steps), run(torch, make, steps)
    tol = tolerance(name)
    for p, q in zip(mine[0], theirs[0], strict=True):
        np.testing.assert_allclose(plain(p), plain(q), rtol=tol, atol=tol)
    a, b = plain(mine[1].state_dict()), plain(theirs[1].state_dict())
    same(a["param_groups"], b["param_groups"])
    if "LBFGS" not in name:
        same(a["state"], b["state"], tol=tol)
    assert repr(mine[1]) == repr(theirs[1])


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if "LBFGS" not in n])
def test_state_moves_between_libraries(name):
    """A state_dict of torch's goes on in Hadamard as it would have in torch, and the other way round."""
    torch = oracle()
    make = OPTIMIZERS[name]

    def moved(state, lib):
        return {
            "state": {
                k: {n: lib.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for n, v in s.items()}
                for k, s in plain(state["state"]).items()
            },
            "param_groups": state["param_groups"],
        }

    state = run(torch, make, 5)[1].state_dict()
    here = run(H, make, 4, state=moved(state, H))
    there = run(torch, make, 4, state=copy.deepcopy(state))
    back = run(torch, make, 4, state=moved(run(H, make, 5)[1].state_dict(), torch))
    for p, q, r in zip(here[0], there[0], back[0], strict=True):
        np.testing.assert_allclose(plain(p), plain(q), rtol=tolerance(name), atol=tolerance(name))
        np.testing.assert_allclose(plain(r), plain(q), rtol=tolerance(name), atol=tolerance(name))


def swalr(schedulers):
    package = schedulers.__name__.rpartition(".")[0]
    return importlib.import_module(package + ".swa_utils").SWALR


SCHEDULES = {
    "StepLR": lambda s, o: s.StepLR(o, 2),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [1, 3, 3], 0.5),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 3, 0.001),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda e: 0.7**e),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.7 + e * 0.01),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.2, 0.9, 4),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.3, 3),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 5, 2),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, patience=0, threshold=0.9, cooldown=1, min_lr=1e-4),
    "ReduceLROnPlateau-max": lambda s, o: s.ReduceLROnPlateau(o, "max", 0.5, 1, 0.1, "abs"),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.1, 30),
    "OneCycleLR-3": lambda s, o: s.OneCycleLR(
        o, [0.1], epochs=10, steps_per_epoch=3, three_phase=True, anneal_strategy="linear"
    ),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)], [3, 8]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)]),
    "SWALR": lambda s, o: swalr(s)(o, 0.3, 4),
    "SWALR-linear": lambda s, o: swalr(s)(o, [0.3], 4, "linear"),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, 4),
    "CyclicLR-2": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, 4, mode="triangular2"),
    "CyclicLR-exp": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, 4, mode="exp_range", gamma=0.9),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["SGD-momentum", "Adam"])
def test_schedule_is_torchs(name, optimizer):
    torch = oracle()
    mine = run(H, OPTIMIZERS[optimizer], 25, SCHEDULES[name])
    theirs = run(torch, OPTIMIZERS[optimizer], 25, SCHEDULES[name])
    assert mine[3] == theirs[3]
    a, b = mine[2].state_dict(), theirs[2].state_dict()
    assert set(a) == set(b)
    assert {k: v for k, v in a.items() if k != "_schedulers"} == {k: v for k, v in b.items() if k != "_schedulers"}


@pytest.mark.parametrize("name", ["StepLR", "CosineAnnealingLR", "LinearLR", "OneCycleLR", "SequentialLR"])
def test_schedule_goes_on_after_loading(name):
    _, optimizer, plan, _ = run(H, OPTIMIZERS["SGD-momentum"], 4, SCHEDULES[name])
    saved, groups = copy.deepcopy(plan.state_dict()), copy.deepcopy(optimizer.state_dict())
    optimizer.step()
    plan.step()
    want = plan.get_last_lr()
    other = OPTIMIZERS["SGD-momentum"](optim, parameters(H))
    again = SCHEDULES[name](optim.lr_scheduler, other)
    other.load_state_dict(groups)
    again.load_state_dict(saved)
    other.step()
    again.step()
    assert again.get_last_lr() == want


ERRORS = {
    "empty": lambda o, p: o.SGD([]),
    "adafactor-lr": lambda o, p: o.Adafactor(p, -1),
    "adafactor-decay": lambda o, p: o.Adafactor(p, beta2_decay=1),
    "adafactor-eps": lambda o, p: o.Adafactor(p, eps=(-1, 1)),
    "adafactor-d": lambda o, p: o.Adafactor(p, d=0.5),
    "muon-dims": lambda o, p: o.Muon(p),
    "muon-adjust": lambda o, p: o.Muon(p[:1], adjust_lr_fn="x"),
    "sparse": lambda o, p: sparse_step(o, p),
    "lr": lambda o, p: o.SGD(p, -1),
    "tensor": lambda o, p: o.SGD(p[0]),
    "beta-0": lambda o, p: o.Adam(p, betas=(1, 0.0)),
    "beta-1": lambda o, p: o.Adam(p, betas=(0.1, 2.0)),
    "eps": lambda o, p: o.Adam(p, eps=-1),
    "momentum": lambda o, p: o.SGD(p, momentum=-1),
    "decay": lambda o, p: o.AdamW(p, weight_decay=-1),
    "nesterov": lambda o, p: o.SGD(p, nesterov=True),
    "non-leaf": lambda o, p: o.SGD([p[0] * 2]),
    "not-tensor": lambda o, p: o.SGD([1]),
    "twice": lambda o, p: o.SGD([{"params": p}, {"params": p}]),
    "set": lambda o, p: o.SGD([{"params": set(p)}]),
    "group": lambda o, p: o.SGD(p).add_param_group(3),
    "alpha": lambda o, p: o.RMSprop(p, alpha=-1),
    "rho": lambda o, p: o.Adadelta(p, rho=2),
    "lr_decay": lambda o, p: o.Adagrad(p, lr_decay=-1),
    "momentum_decay": lambda o, p: o.NAdam(p, momentum_decay=-1),
    "load-groups": lambda o, p: o.SGD(p).load_state_dict({"state": {}, "param_groups": []}),
    "load-size": lambda o, p: o.SGD(p).load_state_dict({"state": {}, "param_groups": [{"params": [0]}]}),
    "fused-foreach": lambda o, p: o.SGD(p, foreach=True, fused=True),
    "lbfgs-groups": lambda o, p: o.LBFGS([{"params": p[:1]}, {"params": p[1:]}]),
    "not-optimizer": lambda o, p: o.lr_scheduler.StepLR(3, 1),
    "initial_lr": lambda o, p: o.lr_scheduler.StepLR(o.SGD(p), 1, last_epoch=3),
    "lambdas": lambda o, p: o.lr_scheduler.LambdaLR(o.SGD(p), [len, len]),
    "constant": lambda o, p: o.lr_scheduler.ConstantLR(o.SGD(p), 2.0),
    "linear": lambda o, p: o.lr_scheduler.LinearLR(o.SGD(p), 0),
    "plateau": lambda o, p: o.lr_scheduler.ReduceLROnPlateau(o.SGD(p), factor=1.0),
    "plateau-mode": lambda o, p: o.lr_scheduler.ReduceLROnPlateau(o.SGD(p), "x"),
    "warm": lambda o, p: o.lr_scheduler.CosineAnnealingWarmRestarts(o.SGD(p), 0),
    "one-cycle": lambda o, p: o.lr_scheduler.OneCycleLR(o.SGD(p), 0.1),
    "one-cycle-steps": lambda o, p: o.lr_scheduler.OneCycleLR(o.SGD(p), 0.1, -1),
    "one-cycle-momentum": lambda o, p: o.lr_scheduler.OneCycleLR(o.Adagrad(p), 0.1, 3),
    "sequential": lambda o, p: o.lr_scheduler.SequentialLR(o.SGD(p), [], []),
    "milestones": lambda o, p: sequential(o, o.SGD(p)),
}


def sparse_step(o, p):
    p[0].sum().backward()
    o.SparseAdam(p).step()


def sequential(o, optimizer):
    o.lr_scheduler.SequentialLR(optimizer, [o.lr_scheduler.StepLR(optimizer, 1)], [1])


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_torchs(name):
    torch = oracle()
    said = []
    for lib in (H, torch):
        with pytest.raises(Exception) as caught, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ERRORS[name](lib.optim, parameters(lib))
        said.append((caught.type, str(caught.value.args[0]).split("\n")[0]))
    assert said[0] == said[1]


def test_signatures_are_torchs():
    torch = oracle()
    if not OURS:
        pytest.skip("compares Hadamard with torch")

    def signature(function):
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    for mine, theirs in ((optim, torch.optim), (optim.lr_scheduler, torch.optim.lr_scheduler)):
        for name in mine.__all__:
            if inspect.isclass(getattr(mine, name)):
                assert signature(getattr(mine, name)) == signature(getattr(theirs, name)), name


# By definition, torch or not


def test_sgd_by_hand():
    p = H.nn.Parameter(H.tensor([1.0, 2.0], dtype=H.float64))
    opt = optim.SGD([p], lr=0.1, momentum=0.9)
    x, v = np.array([1.0, 2.0]), np.zeros(2)
    for _ in range(5):
        opt.zero_grad()
        (p * p).sum().backward()
        opt.step()
        v = 0.9 * v + 2 * x
        x = x - 0.1 * v
        np.testing.assert_allclose(plain(p), x, rtol=1e-12)


def test_adam_by_hand():
    p = H.nn.Parameter(H.tensor([1.0, -2.0], dtype=H.float64))
    opt = optim.Adam([p], lr=0.1)
    x, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for t in range(1, 6):
        opt.zero_grad()
        (p**3).sum().backward()
        opt.step()
        g = 3 * x * x
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        x = x - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(plain(p), x, rtol=1e-12)


def test_lbfgs_solves_a_quadratic():
    a = np.random.default_rng(1).standard_normal((6, 6))
    a = H.from_numpy(a @ a.T + np.eye(6))
    b = H.ones(6, dtype=H.float64)
    x = H.nn.Parameter(H.zeros(6, dtype=H.float64))
    opt = optim.LBFGS([x], max_iter=50, line_search_fn="strong_wolfe")

    def closure():
        opt.zero_grad()
        loss = 0.5 * x @ (a @ x) - b @ x
        loss.backward()
        return loss

    opt.step(closure)
    np.testing.assert_allclose(plain(a @ x.detach()), np.ones(6), atol=1e-5)


def test_parameters_without_gradient_stay():
    p, q = parameters(H)
    before = plain(q).copy()
    opt = optim.Adam([p, q], lr=0.1)
    p.sum().backward()
    opt.step()
    assert (plain(q) == before).all() and q not in opt.state


def test_zero_grad():
    p, q = parameters(H)
    opt = optim.SGD([p, q], lr=0.1)
    p.sum().backward()
    opt.zero_grad(set_to_none=False)
    assert (plain(p.grad) == 0).all() and q.grad is None
    opt.zero_grad()
    assert p.grad is None


def test_closure_runs_with_gradients():
    p = parameters(H)[0]
    opt = optim.SGD([p], lr=0.1)
    seen = []

    def closure():
        seen.append(H.is_grad_enabled())
        loss = p.sum()
        loss.backward()
        return loss

    with H.no_grad():
        loss = opt.step(closure)
    assert seen == [True] and loss.requires_grad


def test_hooks():
    p = parameters(H)[0]
    opt = optim.SGD([p], lr=0.1)
    seen = []
    first = opt.register_step_pre_hook(lambda o, args, kwargs: seen.append("before"))
    opt.register_step_post_hook(lambda o, args, kwargs: seen.append("after"))
    opt.step()
    first.remove()
    opt.step()
    assert seen == ["before", "after", "after"]
    opt.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    assert opt.state_dict()["more"] == 1
    opt.register_load_state_dict_pre_hook(lambda o, state: seen.append("load"))
    opt.load_state_dict(opt.state_dict())
    assert seen[-1] == "load"


def test_subclass_with_own_step_counts_once():
    seen = []

    class Twice(optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            return super().step(closure)

    p = H.nn.Parameter(H.zeros(1))
    p.grad = H.ones(1)
    opt = Twice([p], lr=1.0)
    opt.register_step_post_hook(lambda o, args, kwargs: seen.append(1))
    opt.step()
    assert p.item() == -2.0 and len(seen) == 1


def test_own_optimizer():
    class Sign(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            with H.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.sub_(p.grad.sign() * group["lr"])

    p = H.nn.Parameter(H.tensor([1.0, -1.0]))
    opt = Sign([p], 0.5)
    (p * p).sum().backward()
    opt.step()
    assert plain(p).tolist() == [0.5, -0.5]
    optim.lr_scheduler.StepLR(opt, 1)


@pytest.mark.parametrize("kind", ["swa", "ema", "multi-swa", "multi-ema"])
def test_averaged_model(kind):
    torch = oracle()
    sides = []
    for lib in (H, torch):
        utils = lib.optim.swa_utils
        model = lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.BatchNorm1d(2)).double()
        how = {
            "swa": {},
            "ema": {"avg_fn": utils.get_ema_avg_fn(0.7)},
            "multi-swa": {"multi_avg_fn": utils.get_swa_multi_avg_fn()},
            "multi-ema": {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.7)},
        }[kind]
        average = utils.AveragedModel(model, **how)
        for value in (1.0, 4.0, -2.0):
            for p in model.parameters():
                p.data.fill_(value)
            average.update_parameters(model)
        data = [lib.from_numpy(np.random.default_rng(i).standard_normal((5, 2))) for i in range(3)]
        utils.update_bn(data, average)
        sides.append({k: plain(v) for k, v in average.state_dict().items()})
    # torch rounds the weight 1 / n of the plain average to float32.
    same(*sides, tol=1e-5 if kind == "multi-swa" else 1e-9)


def test_pickle():
    _, opt, _, _ = run(H, OPTIMIZERS["Adam"], 2)
    twin = pickle.loads(pickle.dumps(opt))
    assert repr(twin) == repr(opt)
    same(plain(twin.state_dict()), plain(opt.state_dict()))
    for p in twin.param_groups[0]["params"]:
        p.grad = H.ones_like(p)
    twin.step()


def test_schedule_before_optimizer_warns():
    opt = OPTIMIZERS["SGD"](optim, parameters(H))
    plan = optim.lr_scheduler.StepLR(opt, 1)
    with pytest.warns(UserWarning, match=r"lr_scheduler.step\(\)` before"):
        plan.step()
    opt = OPTIMIZERS["SGD"](optim, parameters(H))
    plan = optim.lr_scheduler.StepLR(opt, 1)
    opt.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan.step()


def test_frozen_parameters_are_named():
    if not OURS:
        pytest.skip("torch is silent here")
    frozen = H.zeros(2, 3)
    with pytest.warns(
        UserWarning, match=r"do not require gradients and will never change: number 1 of group 0 \[2, 3\]"
    ):
        optim.SGD([H.nn.Parameter(H.ones(1)), frozen], lr=0.1)
    with pytest.warns(UserWarning, match=r"never change: w \[2, 3\]"):
        optim.SGD([("w", frozen)], lr=0.1)


def test_duplicate_parameters_warn():
    p = H.nn.Parameter(H.ones(1))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p], lr=0.1)


def test_complex_parameters():
    torch = oracle()
    start = np.array([1 + 2j, -1j])
    for name in ("SGD-momentum", "Adam", "RMSprop"):
        sides = []
        for lib in (H, torch):
            p = lib.nn.Parameter(lib.from_numpy(start.copy()))
            opt = OPTIMIZERS[name](lib.optim, [p])
            for _ in range(4):
                opt.zero_grad()
                (p * p.conj()).real.sum().backward()
                opt.step()
            sides.append(plain(p))
        np.testing.assert_allclose(*sides, rtol=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "optimizer",
        "sgd",
        "adam",
        "adamw",
        "adamax",
        "radam",
        "asgd",
        "rprop",
        "swa_utils",
        "rmsprop",
        "adagrad",
        "adadelta",
        "nadam",
        "lbfgs",
        "lr_scheduler",
    ],
)
def test_examples(name):
    if not OURS:
        pytest.skip("Hadamard's own examples")
    module = importlib.import_module(f"{H.__name__}.optim.{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert doctest.testmod(module)[0] == 0


@pytest.mark.parametrize("make", [optim.SGD, functools.partial(optim.SGD, momentum=0.9), optim.Adam, optim.AdamW])
def test_native_step_is_the_step_op_by_op(make):
    """The step that reads the dicts itself against the one in Python, through what makes it step aside."""

    def run(native):
        H.manual_seed(0)
        params = [H.nn.Parameter(H.randn(n, dtype=H.float64)) for n in (3, 40, 1)]
        opt = make(params, lr=0.1)
        if not native:
            opt._native = lambda group, state: False
        for i in range(6):
            opt.zero_grad()
            used = params[: 2 if i < 2 else 3]  # the last one's state begins later than the others'
            sum((p**2).sum() for p in used).backward()
            if i == 3:
                opt.param_groups[0]["lr"] = H.tensor(0.05)
            if i == 4:
                opt.load_state_dict(copy.deepcopy(opt.state_dict()))
            opt.step()
        kept = [v for p in params for v in opt.state.get(p, {}).values()]
        return [plain(t) for t in params + kept if t is not None], sorted(map(len, opt.state.values()))

    (with_native, counts), (without, expected) = run(True), run(False)
    assert counts == expected
    for a, b in zip(with_native, without, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    # A group without its options, or a state of another kind, is none of its business.
    p = H.nn.Parameter(H.ones(2))
    p.grad = H.ones(2)
    native = make([p])._native
    group = make([p]).param_groups[0]
    assert native({"params": [p]}, {}) is False and native(group, []) is False and native([], {}) is False
    assert native({**group, "lr": "fast"}, {p: {}}) is False and plain(p).tolist() == [1, 1]
    with pytest.raises(TypeError):
        native(group)
