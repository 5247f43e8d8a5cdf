"""FLIP of pairs of pictures: reads width, height (uint32) and two RGB pictures after each other
from stdin, prints the mean."""
import sys

import flip_evaluator
import numpy as np


def picture(width, height):
    data = sys.stdin.buffer.read(width * height * 3)
    return np.frombuffer(data, np.uint8).reshape(height, width, 3).astype(np.float32) / 255


while header := sys.stdin.buffer.read(8):
    width, height = np.frombuffer(header, np.uint32)
    reference, test = picture(width, height), picture(width, height)
    _, mean, _ = flip_evaluator.evaluate(reference, test, "LDR", inputsRGB=True, applyMagma=False)
    print(round(float(mean), 6), flush=True)
