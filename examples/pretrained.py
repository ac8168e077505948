"""Load weights that PyTorch saved, and read digits with them.

One learns: a checkpoint is a dict of tensors, load_state_dict puts them into a model of its class, eval() fixes the
batch norms, and no_grad() spares what only training needs. (The file was written by PyTorch; see data/README.md.)
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from digits import Reader, load_digits

WEIGHTS = Path(__file__).parent / "data" / "digits_reader.pt"

state = torch.load(WEIGHTS, weights_only=True)
for name, tensor in state.items():
    print(f"{name:<32} {str(tuple(tensor.shape)):<16} {str(tensor.dtype).removeprefix('torch.')}")

model = Reader()
print(model.load_state_dict(state))
model.eval()

_, test_set = load_digits()
images, digits = test_set.tensors
with torch.no_grad():
    chances = F.softmax(model(images), dim=1)
certain, read = chances.max(dim=1)
print(f"test accuracy {(read == digits).float().mean().item():.4f}, mean certainty {certain.mean().item():.4f}")

doubtful = certain.argsort()[:3].tolist()
for i in doubtful:
    shades = [" .:-=+*#%@"[int(v * 9.999)] for v in images[i, 0].flatten().tolist()]
    print(f"\nread as {read[i].item()} ({certain[i].item():.0%} certain), is {digits[i].item()}:")
    print("\n".join("  " + "".join(shade * 2 for shade in shades[row : row + 8]) for row in range(0, 64, 8)))
