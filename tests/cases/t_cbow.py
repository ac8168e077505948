"""Word embeddings as the tutorial has them: n-grams, CBOW, nearest words by cosine; and a bag of embeddings."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(1)
raw = """We are about to study the idea of a computational process. Computational processes are abstract beings that
inhabit computers. As they evolve, processes manipulate other abstract things called data. The evolution of a process
is directed by a pattern of rules called a program. People create programs to direct processes.""".lower().split()
vocab = sorted(set(raw))
word_to_ix = {word: i for i, word in enumerate(vocab)}
data = [([raw[i - 2], raw[i - 1], raw[i + 1], raw[i + 2]], raw[i]) for i in range(2, len(raw) - 2)]


class CBOW(nn.Module):
    def __init__(self, vocab_size, embedding_dim):
        super(CBOW, self).__init__()
        self.embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.linear1 = nn.Linear(embedding_dim, 32)
        self.linear2 = nn.Linear(32, vocab_size)

    def forward(self, inputs):
        embeds = self.embeddings(inputs).sum(dim=0).view((1, -1))
        out = F.relu(self.linear1(embeds))
        return F.log_softmax(self.linear2(out), dim=1)


model = CBOW(len(vocab), 10)
loss_function = nn.NLLLoss()
optimizer = optim.SGD(model.parameters(), lr=0.05)
losses = []
for epoch in range(8):
    total_loss = 0
    for context, target in data:
        context_idxs = torch.tensor([word_to_ix[w] for w in context], dtype=torch.long)
        model.zero_grad()
        loss = loss_function(model(context_idxs), torch.tensor([word_to_ix[target]], dtype=torch.long))
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
    losses.append(total_loss)
print([round(x, 2) for x in losses])
weights = model.embeddings.weight.detach()
near = F.cosine_similarity(weights[word_to_ix["processes"]].unsqueeze(0), weights).topk(3)
print([vocab[i] for i in near.indices], near.values)

bag = nn.EmbeddingBag(len(vocab), 4, mode="mean")
offsets = torch.tensor([0, 4, 8])
print(bag(torch.arange(10), offsets).shape)
pretrained = nn.Embedding.from_pretrained(weights.clone(), freeze=True, padding_idx=0)
print(pretrained, pretrained.weight.requires_grad, pretrained(torch.tensor([1])).sum())
