"""Custom datasets, collate functions, samplers, streams and workers."""

import torch
from torch.nn.utils.rnn import pack_sequence, pad_sequence, unpad_sequence
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    Subset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
    random_split,
)


class Sentences(Dataset):
    def __init__(self):
        self.items = [torch.arange(1, 2 + i % 4) for i in range(12)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return {"tokens": self.items[i], "label": i % 2, "name": f"s{i}", "weight": float(i)}


def collate(batch):
    tokens = pad_sequence([b["tokens"] for b in batch], batch_first=True, padding_value=0)
    rest = default_collate([{k: v for k, v in b.items() if k != "tokens"} for b in batch])
    return {"tokens": tokens, "lengths": torch.tensor([len(b["tokens"]) for b in batch]), **rest}


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        start, step = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(start, self.n, step))


def main():
    torch.manual_seed(5)
    data = Sentences()
    for batch in DataLoader(data, batch_size=5, shuffle=True, collate_fn=collate):
        print(batch["tokens"], batch["lengths"], batch["label"], batch["name"], batch["weight"])
    train, valid, rest = random_split(data, [0.5, 0.25, 0.25], generator=torch.Generator().manual_seed(42))
    print(train.indices, valid.indices, len(rest))
    print([batch.tolist() for batch in DataLoader(Stream(7), batch_size=3)])
    print(sorted(x for batch in DataLoader(Stream(7), batch_size=2, num_workers=2) for x in batch.tolist()))
    loader = DataLoader(data, 4, collate_fn=collate, num_workers=2, persistent_workers=True, prefetch_factor=1)
    for _ in range(2):
        print([batch["lengths"].sum().item() for batch in loader])
    sampler = WeightedRandomSampler([0.1, 0.0, 0.9], 10, replacement=True)
    print(list(sampler), list(BatchSampler(SequentialSampler(range(5)), 2, drop_last=True)))
    both = ConcatDataset([Subset(data, [0, 1]), Subset(data, [5])])
    print(len(both), both[-1]["name"])
    packed = pack_sequence([torch.tensor([1.0, 2, 3]), torch.tensor([4.0, 5])])
    print(packed.data, packed.batch_sizes)
    print(unpad_sequence(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), batch_first=True))
    iterator = iter(DataLoader(range(10), batch_size=4))
    print(next(iterator), next(iterator), next(iterator))
    try:
        next(iter(DataLoader([torch.zeros(2), torch.zeros(3)], batch_size=2)))
    except RuntimeError as error:
        print(str(error).splitlines()[0])


if __name__ == "__main__":
    main()
