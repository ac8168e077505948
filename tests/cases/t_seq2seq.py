"""Sequence to sequence with attention: encoder GRU, Bahdanau attention, decoder with teacher forcing."""

import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

random.seed(4)
torch.manual_seed(4)
SOS_token, EOS_token, MAX_LENGTH, VOCAB = 0, 1, 6, 10
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size, dropout_p=0.1):
        super(EncoderRNN, self).__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, input):
        return self.gru(self.dropout(self.embedding(input)))


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys)))
        scores = scores.squeeze(2).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size, dropout_p=0.1):
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, encoder_outputs, encoder_hidden, target_tensor=None):
        batch_size = encoder_outputs.size(0)
        decoder_input = torch.empty(batch_size, 1, dtype=torch.long, device=device).fill_(SOS_token)
        decoder_hidden = encoder_hidden
        decoder_outputs, attentions = [], []
        for i in range(MAX_LENGTH):
            embedded = self.dropout(self.embedding(decoder_input))
            context, weights = self.attention(decoder_hidden.permute(1, 0, 2), encoder_outputs)
            output, decoder_hidden = self.gru(torch.cat((embedded, context), dim=2), decoder_hidden)
            output = self.out(output)
            decoder_outputs.append(output)
            attentions.append(weights)
            if target_tensor is not None:
                decoder_input = target_tensor[:, i].unsqueeze(1)
            else:
                _, topi = output.topk(1)
                decoder_input = topi.squeeze(-1).detach()
        decoder_outputs = torch.cat(decoder_outputs, dim=1)
        return F.log_softmax(decoder_outputs, dim=-1), decoder_hidden, torch.cat(attentions, dim=1)


source = torch.randint(2, VOCAB, (64, MAX_LENGTH))
source[:, -1] = EOS_token
target = torch.cat([source[:, :-1].flip(1), source[:, -1:]], 1)
data = TensorDataset(source.to(device), target.to(device))
loader = DataLoader(data, sampler=RandomSampler(data), batch_size=16)
encoder, decoder = EncoderRNN(VOCAB, 24).to(device), AttnDecoderRNN(24, VOCAB).to(device)
e_opt, d_opt = optim.Adam(encoder.parameters(), lr=1e-2), optim.Adam(decoder.parameters(), lr=1e-2)
criterion = nn.NLLLoss()
for epoch in range(1, 11):
    total_loss = 0
    for input_tensor, target_tensor in loader:
        e_opt.zero_grad()
        d_opt.zero_grad()
        encoder_outputs, encoder_hidden = encoder(input_tensor)
        decoder_outputs, _, _ = decoder(encoder_outputs, encoder_hidden, target_tensor)
        loss = criterion(decoder_outputs.view(-1, decoder_outputs.size(-1)), target_tensor.view(-1))
        loss.backward()
        e_opt.step()
        d_opt.step()
        total_loss += loss.item()
    if epoch % 2 == 0:
        print(f"epoch {epoch} loss {total_loss / len(loader):.3f}")
with torch.no_grad():
    encoder.eval()
    decoder.eval()
    outputs, hidden, attention = decoder(*encoder(source[:2]))
    print(outputs.topk(1)[1].squeeze(), attention.shape, attention.sum(-1)[0, 0])
