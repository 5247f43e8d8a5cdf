"""Trains the embedded text-to-video checkpoint and writes it in diffusers layout (WanPipeline).

    nice -n 19 python train.py --run run --minutes 70 --resume

Flow matching with diffusers' WanTransformer3DModel and transformers' UMT5EncoderModel on the bank of latents
that vae.py made. The learning rate falls to zero at --until (UTC) or after --minutes. The state is kept in
RUN/state.pt and taken up again by --resume; averaged weights are exported to RUN/export and measured every
--measure minutes. While the file PAUSE exists, no step is made.
"""
import argparse, datetime, math, os, random, sys, time
os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
import checkpoint, measure, text
from data import Vocabulary, caption
from vae import CONFIG
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "emoji-training"))
from muon import Muon


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--run", default="run")
    p.add_argument("--resume", action="store_true", help="go on from RUN/state.pt, if it is there")
    p.add_argument("--until", help="HH:MM UTC at which the learning rate reaches zero")
    p.add_argument("--minutes", type=float, default=70)
    p.add_argument("--lr", type=float, default=4e-3, help="of matrices, by Muon")
    p.add_argument("--adam-lr", type=float, default=2e-3)
    p.add_argument("--batch", type=int, default=32); p.add_argument("--measure", type=float, default=10)
    p.add_argument("--pause-file", default="PAUSE"); p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(1); torch.manual_seed(a.seed); random.seed(a.seed)
    kept, bank = torch.load(f"{a.run}/vae.pt"), torch.load(f"{a.run}/bank.pt")
    vae = AutoencoderKLWan(**CONFIG)
    vae.load_state_dict(kept["vae"])
    Training(vae, kept["mean"], kept["std"], bank, a).run()


class Training:
    def __init__(self, vae, mean, std, bank, options):
        self.vae, self.mean, self.std, self.bank, self.o = vae, mean, std, bank, options
        self.vocabulary = Vocabulary()
        self.nets = checkpoint.networks(len(self.vocabulary.tokens))
        initialise(self.nets["transformer"])
        self.processor = text.install(self.nets["transformer"])
        named = dict(self.nets.named_parameters())
        self.parameters = list(named.values())
        matrix = lambda name, v: (v.dim() == 2 and "shared" not in name and "embed" not in name
                                  and "bias" not in name and "proj_out" not in name)
        self.optimizer = Muon([v for k, v in named.items() if matrix(k, v)],
                              [v for k, v in named.items() if not matrix(k, v)],
                              options.lr, options.adam_lr)
        self.averaged = {k: v.clone() for k, v in self.nets.state_dict().items()}
        self.step, self.start, self.losses = 0, time.time(), []
        self.end = self.start + 60 * options.minutes if options.until is None else clock(options.until)
        print({k: sum(x.numel() for x in m.parameters()) for k, m in self.nets.items()}, flush=True)
        if options.resume and os.path.exists(f"{options.run}/state.pt"):
            self.load(f"{options.run}/state.pt")

    def run(self):
        saved = measured = told = time.time()
        while self.done() < 1:
            if os.path.exists(self.o.pause_file):
                time.sleep(1)
                continue
            self.train_step()
            now = time.time()
            if now - told > 30:
                print(f"{now - self.start:.0f} s step {self.step} loss "
                      f"{sum(self.losses) / len(self.losses):.4f}", flush=True)
                told, self.losses = now, []
            if now - saved > 180:
                self.save(f"{self.o.run}/state.pt")
                saved = now
            if now - measured > 60 * self.o.measure:
                self.report(24)
                measured = time.time()
        self.save(f"{self.o.run}/state.pt")
        self.report(96)

    def train_step(self):
        frames = random.choices((17, 9, 33), (0.72, 0.08, 0.2))[0]
        latents, shows = self.bank[frames]
        count = self.o.batch if frames != 33 else self.o.batch * 5 // 8
        rows = torch.randint(len(latents), (count,))
        x0 = latents[rows].float()
        ids, lengths = self.vocabulary.batch([caption(*shows[i]) for i in rows.tolist()])
        tokens = torch.tensor(random.choices((checkpoint.TOKENS, 64, 512), (0.6, 0.1, 0.3), k=count))
        uniform = (torch.arange(count) + torch.rand(count)) / count
        sigma = checkpoint.SHIFT * uniform / (1 + (checkpoint.SHIFT - 1) * uniform)
        noise = torch.randn_like(x0)
        noisy = x0 + sigma.view(-1, 1, 1, 1, 1) * (noise - x0)
        embeddings = text.encode(self.nets, self.processor, ids, lengths, tokens)
        velocity = self.nets["transformer"](noisy, 1000 * sigma, embeddings, return_dict=False)[0]
        loss = F.mse_loss(velocity, noise - x0)
        for parameter, grad in zip(self.parameters, torch.autograd.grad(loss, self.parameters)):
            parameter.grad = grad
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        flat, done = 0.4, self.done()
        self.optimizer.step(min(1, (self.step + 1) / 60)
                            * (1 if done < flat else 0.5 + 0.5
                               * math.cos(math.pi * (done - flat) / (1 - flat))))
        self.step += 1
        self.losses.append(loss.item())
        decay = min(0.995, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            for name, value in self.nets.state_dict().items():
                (self.averaged[name].lerp_(value, 1 - decay) if value.is_floating_point()
                 else self.averaged[name].copy_(value))

    def report(self, count):
        nets = checkpoint.networks(len(self.vocabulary.tokens))
        nets.load_state_dict(self.averaged)
        # Its decoder may have been trained on meanwhile.
        self.vae.load_state_dict(torch.load(f"{self.o.run}/vae.pt")["vae"])
        checkpoint.export(f"{self.o.run}/export", self.vae, nets, self.vocabulary, self.mean, self.std)
        measure.report(self.vae, nets, self.vocabulary, self.mean, self.std, count,
                       sheet=f"{self.o.run}/sheet.png")

    def done(self):
        return min(1, (time.time() - self.start) / max(1, self.end - self.start))

    def save(self, path):
        torch.save({"nets": self.nets.state_dict(), "averaged": self.averaged,
                    "optimizer": self.optimizer.state_dict(),
                    "step": self.step, "spent": time.time() - self.start}, path + ".new")
        os.replace(path + ".new", path)

    def load(self, path):
        state = torch.load(path)
        self.nets.load_state_dict(state["nets"])
        self.averaged = state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        if self.o.until is None:
            self.start -= state["spent"]
            self.end -= state["spent"]
        print(f"resumed at step {self.step}", flush=True)


def initialise(transformer):
    """Gates open, modulation and output at zero: every block is a plain one at first."""
    with torch.no_grad():
        for block in transformer.blocks:
            block.scale_shift_table.zero_()
            block.scale_shift_table[:, [2, 5]] = 0.5
        transformer.scale_shift_table.zero_()
        torch.nn.init.zeros_(transformer.condition_embedder.time_proj.weight)
        torch.nn.init.zeros_(transformer.condition_embedder.time_proj.bias)
        torch.nn.init.zeros_(transformer.proj_out.weight)
        torch.nn.init.zeros_(transformer.proj_out.bias)


def clock(text):
    now = datetime.datetime.now(datetime.timezone.utc)
    hours, minutes = map(int, text.split(":"))
    then = now.replace(hour=hours, minute=minutes, second=0, microsecond=0)
    return (then if then > now else then + datetime.timedelta(days=1)).timestamp()


if __name__ == "__main__":
    main()
