"""Muon with AdamW for what is no matrix: orthogonalised momentum, after Jordan et al. 2024
(https://kellerjordan.github.io/posts/muon/), its update scaled to AdamW's size as in Liu et al. 2025
(arXiv:2502.16982), so that rates compare."""
import torch


class Muon:
    """matrices: parameters [rows, columns] (rows a multiple of `split` are cut into blocks of
    it); others: any parameters."""

    def __init__(self, matrices, others, lr, adam_lr, split=128, momentum=0.95, weight_decay=0.01):
        self.matrices, self.lr, self.adam_lr, self.split = list(matrices), lr, adam_lr, split
        self.beta, self.weight_decay = momentum, weight_decay
        self.momenta = [torch.zeros_like(p) for p in self.matrices]
        self.adam = torch.optim.AdamW(others, adam_lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)

    def state_dict(self):
        return {"momenta": self.momenta, "adam": self.adam.state_dict()}

    def load_state_dict(self, state):
        for mine, saved in zip(self.momenta, state["momenta"]):
            mine.copy_(saved)
        self.adam.load_state_dict(state["adam"])

    @torch.no_grad()
    def step(self, scale, run=map):
        """One step at `scale` times the learning rates; `run` maps a function over work that is independent.
        """
        for group in self.adam.param_groups:
            group["lr"] = self.adam_lr * scale
        self.adam.step()
        shapes = {}
        for p, momentum in zip(self.matrices, self.momenta):
            momentum.lerp_(p.grad, 1 - self.beta)
            update = p.grad.lerp(momentum, self.beta)
            for block, part in zip(self.blocks(p), self.blocks(update)):
                shapes.setdefault(tuple(part.shape), []).append((block, part))
        work = [pairs[i:i + 16] for pairs in shapes.values() for i in range(0, len(pairs), 16)]
        list(run(lambda pairs: self.apply(pairs, self.lr * scale), work))

    def blocks(self, p):
        """Square blocks of what stacks several maps on one input (modulations), the matrix itself otherwise.
        """
        rows, columns = p.shape
        stacked = columns == self.split and rows % self.split == 0 and rows // self.split in (2, 3, 6)
        return p.split(self.split) if stacked else [p]

    @torch.no_grad()
    def apply(self, pairs, lr):
        updates = orthogonalise(torch.stack([part for _, part in pairs]))
        size = 0.2 * max(updates.shape[1:])**0.5
        for (block, _), update in zip(pairs, updates):
            block.mul_(1 - lr * self.weight_decay).add_(update, alpha=-lr * size)


def orthogonalise(x, steps=5):
    """[n, rows, columns] -> the nearest half-orthogonal matrices, about: quintic Newton-Schulz iteration."""
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.transpose(1, 2) if tall else x
