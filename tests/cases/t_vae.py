"""A variational autoencoder: the reparameterisation trick, a summed loss, KL divergence in two ways."""

import torch
from torch import nn, optim
from torch.nn import functional as F

torch.manual_seed(0)
grid = torch.linspace(-1, 1, 8)
yy, xx = torch.meshgrid(grid, grid, indexing="ij")
centres = torch.rand(200, 2) * 1.2 - 0.6
images = torch.exp(-((xx - centres[:, 0, None, None]) ** 2 + (yy - centres[:, 1, None, None]) ** 2) / 0.1)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 40)
        self.fc21 = nn.Linear(40, 2)
        self.fc22 = nn.Linear(40, 2)
        self.decoder = nn.Sequential(nn.Linear(2, 40), nn.ReLU(inplace=True), nn.Linear(40, 64), nn.Sigmoid())

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 64))
        z = self.reparameterize(mu, logvar)
        return self.decoder(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld, kld


model = VAE()
optimizer = optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(1, 6):
    train_loss = 0
    for batch in torch.randperm(len(images)).split(50):
        optimizer.zero_grad()
        recon, mu, logvar = model(images[batch])
        loss, kld = loss_function(recon, images[batch], mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    print(f"Epoch {epoch}: average loss {train_loss / len(images):.3f}")

with torch.inference_mode():
    sample = model.decoder(torch.randn(3, 2)).view(3, 1, 8, 8)
print(sample.shape, sample.mean().item() > 0)
q = torch.distributions.Normal(mu, (0.5 * logvar).exp())
p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
same = torch.distributions.kl_divergence(q, p).sum()
print(torch.allclose(same, kld, rtol=1e-4))
