"""A character model with an LSTM: embedding, hidden state carried and detached, clipping, sampling."""

import torch
import torch.nn as nn

text = "the quick brown fox jumps over the lazy dog. " * 20
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
itos = {i: c for c, i in stoi.items()}
data = torch.tensor([stoi[c] for c in text], dtype=torch.long)

torch.manual_seed(3)


class CharRNN(nn.Module):
    def __init__(self, vocab, embed=16, hidden=48, layers=2, kind="LSTM"):
        super().__init__()
        self.embedding = nn.Embedding(vocab, embed)
        self.rnn = getattr(nn, kind)(embed, hidden, layers, batch_first=True, dropout=0.1)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, x, state=None):
        y, state = self.rnn(self.embedding(x), state)
        return self.out(y), state

    def init_weights(self):
        for name, p in self.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(p)
            elif "bias" in name:
                nn.init.zeros_(p)


def batches(seq, batch, length):
    n = (len(seq) - 1) // batch
    x = seq[: n * batch].view(batch, n)
    y = seq[1 : n * batch + 1].view(batch, n)
    for i in range(0, n, length):
        yield x[:, i : i + length], y[:, i : i + length]


for kind in ("LSTM", "GRU", "RNN"):
    model = CharRNN(len(chars), kind=kind)
    model.init_weights()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)
    for epoch in range(4):
        state, total, count = None, 0.0, 0
        for x, y in batches(data, 4, 25):
            if state is not None:
                state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
            logits, state = model(x, state)
            loss = criterion(logits.reshape(-1, len(chars)), y.reshape(-1))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
            count += 1
        print(f"{kind} epoch {epoch}: loss {total / count:.3f}, gradient norm {norm:.2f}")

model.eval()
with torch.no_grad():
    index, state, said = torch.tensor([[stoi["t"]]]), None, "t"
    for _ in range(40):
        logits, state = model(index, state)
        probabilities = torch.softmax(logits[0, -1] / 0.8, dim=0)
        index = torch.multinomial(probabilities, 1).unsqueeze(0)
        said += itos[index.item()]
assert len(said) == 41
lengths = torch.tensor([5, 3, 2])
packed = nn.utils.rnn.pack_padded_sequence(torch.randn(3, 5, 16), lengths, batch_first=True, enforce_sorted=True)
out, hidden = model.rnn(packed)
padded, back = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
print(padded.shape, back.tolist(), hidden.shape)
print("weights", [name for name, _ in model.named_parameters()])
