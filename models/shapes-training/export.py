"""Puts the newest decoder of RUN/vae.pt into the checkpoint of RUN/export.

    python export.py --run run
"""
import argparse
import torch
import checkpoint
from data import Vocabulary


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--run", default="run")
    a = p.parse_args()
    vae, nets, _ = checkpoint.load(f"{a.run}/export")
    kept = torch.load(f"{a.run}/vae.pt")
    vae.load_state_dict(kept["vae"])
    checkpoint.export(f"{a.run}/export", vae, nets, Vocabulary(), kept["mean"], kept["std"])


if __name__ == "__main__":
    main()
