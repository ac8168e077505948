"""Cosine similarity by hand and by name."""

import torch
from torch.nn import functional as F

a, b = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0, 6.0])
by_hand = torch.dot(a, b) / (torch.norm(a) * torch.norm(b))
assert round(by_hand.item(), 4) == 0.9746
assert torch.allclose(by_hand, F.cosine_similarity(a, b, dim=0))
assert torch.allclose(by_hand, F.cosine_similarity(a[None], b[None])[0])
assert torch.allclose(by_hand, a @ b / (a.norm() * b.norm()))
assert torch.allclose(by_hand, torch.dot(F.normalize(a, dim=0), F.normalize(b, dim=0)))
