"""Trains the embedded text-to-image checkpoint and writes it in diffusers layout (FluxPipeline).

    nice -n 19 python train.py --data data --run run --minutes 110

Flow matching on the latents of the VAE in RUN/vae.pt (vae.py), which are computed once; one caption in ten is
empty, for true CFG. The learning rate falls to zero at --until (UTC) or after --minutes. The state is kept in
RUN/state.pt and taken up again by --resume; the averaged weights are exported to RUN/export every ten
minutes. While the file PAUSE exists, no step is made. Needs torch, numpy and safetensors.
"""
import argparse, datetime, json, math, os, random, threading, time
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: one core for each worker
import torch
import torch.nn.functional as F
import checkpoint
from data import COLORS, PATCHES, Vocabulary, caption, latents, load, pack
from model import AutoencoderKL
from muon import Muon

WHITE_SHARE = 0.3


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default="data"); p.add_argument("--run", default="run")
    p.add_argument("--resume", action="store_true", help="go on from RUN/state.pt, if it is there")
    p.add_argument("--from", dest="source", help="checkpoint to start from, of the same VAE encoder")
    p.add_argument("--until", help="HH:MM UTC at which the learning rate reaches zero")
    p.add_argument("--minutes", type=float, default=120)
    p.add_argument("--names", type=int, default=1000, help="how many of the captions to learn")
    p.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    p.add_argument("--lr", type=float, default=2e-3, help="of matrices, by Muon")
    p.add_argument("--adam-lr", type=float, default=2e-3)
    p.add_argument("--batch", type=int, default=48)
    p.add_argument("--pause-file", default="PAUSE", help="no step is made while it exists")
    p.add_argument("--workers", type=int, default=2); p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(a.seed); random.seed(a.seed)
    pixels, captions = load(a.data)
    kept = torch.load(f"{a.run}/vae.pt")
    vae, shift, scale = AutoencoderKL(), kept["shift"], kept["scale"]
    vae.load_state_dict(kept["vae"])
    vocabulary = Vocabulary(captions)
    nets = checkpoint.networks(len(vocabulary.tokens))
    if a.source:
        _, old, old_vocabulary, _ = checkpoint.load(a.source)
        checkpoint.warm_start(nets, vocabulary, old, old_vocabulary)
    # The vocabulary is that of all captions, so that --names may grow when training is resumed.
    pixels, captions = pixels[:a.names], captions[:a.names]
    z = (latents(vae, pixels) - shift) * scale
    print(f"{len(captions)} names, {len(vocabulary.tokens)} tokens,",
          {k: sum(x.numel() for x in m.parameters()) for k, m in nets.items()})
    training = Training(nets, vocabulary, captions, z, a)
    if a.resume and os.path.exists(f"{a.run}/state.pt"):
        training.load(f"{a.run}/state.pt")

    def export(averaged):
        checkpoint.export(f"{a.run}/export", vae, averaged, vocabulary, shift, scale)
        with open(f"{a.run}/export/names.txt", "w") as f:
            f.writelines(f"{c['name']}\n" for c in captions)

    training.run(export)


class Training:
    """The master weights, their optimizer and average; run() lets the workers loose on them."""

    def __init__(self, nets, vocabulary, captions, z, options):
        self.nets, self.vocabulary, self.captions, self.z, self.o = nets, vocabulary, captions, z, options
        named = dict(nets.named_parameters())
        self.parameters = list(named.values())
        matrix = lambda name, v: (options.optimizer == "muon" and v.dim() == 2 and "embedding" not in name
                                  and "shared" not in name)
        self.optimizer = Muon([v for k, v in named.items() if matrix(k, v)],
                              [v for k, v in named.items() if not matrix(k, v)],
                              options.lr, options.adam_lr)
        self.averaged = {k: v.clone() for k, v in nets.state_dict().items()}
        self.error = torch.ones(len(captions))
        self.lock = threading.Lock()
        self.step, self.start, self.log = 0, time.time(), []
        self.end = self.start + 60 * options.minutes if options.until is None else clock(options.until)

    def run(self, export):
        """Trains until the end. Each worker computes gradients on its own copy of the newest weights and
        applies them when they are ready: none waits for another, whatever else the machine does."""
        workers = [threading.Thread(target=self.work, daemon=True) for _ in range(self.o.workers)]
        saved = exported = time.time()
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            time.sleep(1)
            if time.time() - saved > 180:
                self.save(f"{self.o.run}/state.pt")
                saved = time.time()
            if time.time() - exported > 600:
                export(self.averaged_nets())
                exported = time.time()
        self.save(f"{self.o.run}/state.pt")
        export(self.averaged_nets())

    def work(self):
        torch.set_num_threads(1)
        copy = checkpoint.networks(len(self.vocabulary.tokens))
        parameters = list(copy.parameters())
        while self.done() < 1:
            if os.path.exists(self.o.pause_file):
                time.sleep(1)
                continue
            with self.lock, torch.no_grad():
                torch._foreach_copy_(parameters, self.parameters)
            names, texts, sigma, loss = self.loss(copy)
            grads = torch.autograd.grad(loss.mean(), parameters)
            with self.lock:
                self.apply(grads)
                self.record(names, texts, sigma, loss.detach())

    def loss(self, nets):
        """-> names [B], captions, sigmas [B] and losses [B] of a batch drawn at random"""
        count = self.o.batch
        # Names that are drawn badly come oftener.
        weights = (self.error / self.error.mean()).pow(0.7).clamp(0.4, 2.5)
        names = torch.multinomial(weights, count, replacement=count > len(weights))
        colors = torch.where(torch.rand(count) < WHITE_SHARE, 0, torch.randint(len(COLORS), (count,)))
        texts = [caption(self.captions[n], list(COLORS)[c]) for n, c in zip(names.tolist(), colors.tolist())]
        t5_ids, clip_ids = self.vocabulary.batch(texts)
        sigma = stratified_sigmas(count)
        x0 = pack(self.z[colors, names])
        noise = torch.randn_like(x0)
        noisy = x0 + sigma[:, None, None] * (noise - x0)
        velocity = nets["transformer"](noisy, nets["t5"](t5_ids), nets["clip"](clip_ids), sigma, PATCHES)
        return names, texts, sigma, F.mse_loss(velocity, noise - x0, reduction="none").mean((1, 2))

    def apply(self, grads):
        for parameter, grad in zip(self.parameters, grads):
            parameter.grad = grad
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        flat, done = 0.3, self.done()
        self.optimizer.step(min(1, (self.step + 1) / 100)
                            * (1 if done < flat else 0.5 + 0.5
                               * math.cos(math.pi * (done - flat) / (1 - flat))))
        self.step += 1
        self.average()

    def record(self, names, texts, sigma, loss):
        high = sigma > 0.6
        for n, text, value in zip(names[high].tolist(), [t for t, h in zip(texts, high) if h],
                                  loss[high].tolist()):
            if text:
                self.error[n] += 0.1 * (value - self.error[n])
        self.log.append((loss.mean().item(), loss[high].mean().item()))
        if self.step % 100 == 0:
            mean, of_high = (sum(column) / len(column) for column in zip(*self.log))
            print(f"{datetime.datetime.now(datetime.UTC):%H:%M:%S} cpu {time.process_time():.0f} step "
                  f"{self.step} done {self.done():.3f} "
                  f"loss {mean:.4f} high {of_high:.4f}", flush=True)
            self.log = []

    def done(self):
        return (time.time() - self.start) / (self.end - self.start)

    @torch.no_grad()
    def average(self):
        decay = min(0.998, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(list(self.averaged.values()), list(self.nets.state_dict().values()), 1 - decay)

    def averaged_nets(self):
        nets = checkpoint.networks(len(self.vocabulary.tokens))
        nets.load_state_dict(self.averaged)
        return nets

    def save(self, path):
        """Atomic: a kill at any moment leaves the state before or the state after."""
        with self.lock:
            torch.save({"step": self.step, "start": self.start, "end": self.end,
                        "nets": self.nets.state_dict(), "averaged": self.averaged,
                        "error": self.error, "optimizer": self.optimizer.state_dict()}, f"{path}.new")
        os.replace(f"{path}.new", path)

    def load(self, path):
        state = torch.load(path)
        self.nets.load_state_dict(state["nets"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.averaged, self.step, self.start = state["averaged"], state["step"], state["start"]
        known = min(len(self.error), len(state["error"]))
        self.error[:known] = state["error"][:known]
        if self.o.until is None:
            self.end = state["end"]


def stratified_sigmas(count):
    """[count], most logit-normal about where pictures are decided, the rest uniform;
    stratified, for less variance."""
    u = (torch.randperm(count) + torch.rand(count)) / count
    normal = torch.sigmoid(0.8 + 1.2 * math.sqrt(2) * torch.erfinv((2 * u - 1).clamp(-0.9999, 0.9999)))
    return torch.where(torch.rand(count) < 0.15, u, normal)


def clock(text):
    """Unix time of HH:MM UTC, today or else tomorrow."""
    now = datetime.datetime.now(datetime.UTC)
    hour, minute = map(int, text.split(":"))
    then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (then if then > now else then + datetime.timedelta(days=1)).timestamp()


if __name__ == "__main__":
    main()
