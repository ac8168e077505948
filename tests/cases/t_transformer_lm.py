"""A language model on nn.TransformerEncoder as in the tutorial: positions in a buffer, a mask, perplexity."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import TransformerEncoder, TransformerEncoderLayer

torch.manual_seed(0)


class PositionalEncoding(nn.Module):
    def __init__(self, d_model: int, dropout: float = 0.1, max_len: int = 100):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(x + self.pe[: x.size(0)])


class TransformerModel(nn.Module):
    def __init__(self, ntoken, d_model, nhead, d_hid, nlayers, dropout=0.1):
        super().__init__()
        self.pos_encoder = PositionalEncoding(d_model, dropout)
        self.transformer_encoder = TransformerEncoder(TransformerEncoderLayer(d_model, nhead, d_hid, dropout), nlayers)
        self.embedding = nn.Embedding(ntoken, d_model)
        self.d_model = d_model
        self.linear = nn.Linear(d_model, ntoken)
        self.embedding.weight.data.uniform_(-0.1, 0.1)
        self.linear.bias.data.zero_()
        self.linear.weight.data.uniform_(-0.1, 0.1)

    def forward(self, src: Tensor, src_mask: Tensor = None) -> Tensor:
        src = self.pos_encoder(self.embedding(src) * math.sqrt(self.d_model))
        if src_mask is None:
            src_mask = nn.Transformer.generate_square_subsequent_mask(len(src))
        return self.linear(self.transformer_encoder(src, src_mask))


ntokens, bptt = 12, 10
train_data = (torch.arange(600) ** 2 % 7 + torch.arange(600) % 5).view(6, -1).t().contiguous()


def get_batch(source, i):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].reshape(-1)


model = TransformerModel(ntokens, 16, 2, 24, 2, 0.1)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.95)
best_val_loss, best = float("inf"), None
for epoch in range(1, 4):
    model.train()
    total_loss = 0.0
    for batch, i in enumerate(range(0, train_data.size(0) - 1, bptt)):
        src, targets = get_batch(train_data, i)
        output = model(src)
        loss = criterion(output.view(-1, ntokens), targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        total_loss += loss.item()
    print(f"| epoch {epoch:3d} | lr {scheduler.get_last_lr()[0]:02.2f} | loss {total_loss / (batch + 1):5.3f}")
    model.eval()
    val = 0.0
    with torch.no_grad():
        for i in range(0, train_data.size(0) - 1, bptt):
            src, targets = get_batch(train_data, i)
            val += len(src) * criterion(model(src).view(-1, ntokens), targets).item()
    val /= len(train_data) - 1
    print(f"| valid loss {val:.3f} | valid ppl {math.exp(val):.3f}")
    if val < best_val_loss:
        best_val_loss, best = val, copy.deepcopy(model)
    scheduler.step()
print(sorted(best.state_dict())[:4])


class Attention(nn.Module):
    """Weights shared between embedding and output, attention by hand and by the library."""

    def __init__(self, vocab, d, heads):
        super().__init__()
        self.emb, self.qkv, self.heads = nn.Embedding(vocab, d), nn.Linear(d, 3 * d, bias=False), heads
        self.ln, self.head = nn.LayerNorm(d), nn.Linear(d, vocab, bias=False)
        self.head.weight = self.emb.weight
        self.register_buffer("mask", torch.tril(torch.ones(32, 32)).view(1, 1, 32, 32), persistent=False)

    def forward(self, idx, flash):
        B, T = idx.shape
        x = self.ln(self.emb(idx))
        q, k, v = (t.view(B, T, self.heads, -1).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=-1))
        if flash:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            att = (q @ k.transpose(-2, -1)) * (k.size(-1) ** -0.5)
            att = att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf"))
            y = F.softmax(att, dim=-1) @ v
        return self.head(y.transpose(1, 2).contiguous().view(B, T, -1))


tied = Attention(ntokens, 16, 4)
idx = torch.randint(0, ntokens, (3, 9))
print(
    torch.allclose(tied(idx, True), tied(idx, False), atol=1e-6), len(list(tied.parameters())), list(tied.state_dict())
)
F.cross_entropy(tied(idx, False).flatten(0, 1), idx.roll(-1, 1).flatten()).backward()
print(tied.emb.weight.grad.norm())
