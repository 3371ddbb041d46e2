"""Measures training steps against PyTorch eager, as ratios within one run.

    cargo xtask bench train [--rounds N] [--only NETWORK] [--bfloat16]

A step is the forward pass, cross-entropy, the backward pass and a step of SGD with momentum and weight decay. Each network runs in two
programs that take turns: `pipe`'s learner, and the original in Python (torchvision or Transformers), both with two threads that sleep
while they wait (OMP_WAIT_POLICY=passive). The original is first tried in both memory formats and keeps the faster one. Each figure is
the median of several rounds, in wall and in CPU seconds; memory is the largest resident set. With --bfloat16 both compute in mixed precision
(AmpOptimWrapper, torch.autocast), and the original takes turns in float32 too.
"""

import argparse, json, math, os, pathlib, subprocess, sys
from peers import python_with
from turns import Program, medians

ROUNDS = 5
FORMATS = ("channels_last", "contiguous")
PACKAGES = ["torch==2.13.0", "torchvision==0.28.0", "transformers==5.24.0", "pytorchvideo==0.1.5", "numpy"]

# Name: parameters of `backbone`, the original, and clips N, T, H, W.
NETWORKS = {
    "TSN-R50": ({"type": "ResNet", "depth": 50}, "tsn_r50", (2, 8, 224, 224)),
    "R3D-18": ({"type": "R3D"}, "r3d_18", (4, 16, 112, 112)),
    "MobileNetV2-TSM": ({"type": "MobileNetV2TSM"}, "mobilenet_v2_tsm", (2, 8, 224, 224)),
    "VideoMAE-S": ({"type": "VisionTransformer", "embed_dims": 384, "num_heads": 6}, "videomae_s", (1, 16, 224, 224)),
}

PEER = """
import sys, time, torch
from torch import nn
torch.set_num_threads(2)
name, n, t, h, w, precision, layout = sys.argv[1], *map(int, sys.argv[2:6]), *sys.argv[6:8]

class Shift(nn.Module):
    "Temporal shift of an eighth of the channels in each direction, before a layer."
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
    def forward(self, x):
        m, c, h, w = x.shape
        x, fold = x.view(-1, t, c, h, w), c // 8
        zeros = torch.zeros_like(x[:, :1, :fold])
        earlier = torch.cat((x[:, 1:, :fold], zeros), 1)
        later = torch.cat((zeros, x[:, :-1, fold:2 * fold]), 1)
        return self.layer(torch.cat((earlier, later, x[:, :, 2 * fold:]), 2).view(m, c, h, w))

def build():
    if name == "tsn_r50":
        from torchvision.models import resnet50
        return resnet50(num_classes=400)
    if name == "mobilenet_v2_tsm":
        from torchvision.models import mobilenet_v2
        model = mobilenet_v2(num_classes=400)
        for block in model.features:
            if getattr(block, "use_res_connect", False) and len(block.conv) == 4:
                block.conv[0] = Shift(block.conv[0])
        return model
    if name == "r3d_18":
        from torchvision.models.video import r3d_18
        return r3d_18(num_classes=400)
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification
    return VideoMAEForVideoClassification(VideoMAEConfig(
        hidden_size=384, num_attention_heads=6, intermediate_size=1536, num_labels=400, use_mean_pooling=True,
        num_frames=t, image_size=h, attn_implementation="sdpa"))

flat = name in ("tsn_r50", "mobilenet_v2_tsm")
model = build().train()
if layout == "channels_last":
    model = model.to(memory_format=torch.channels_last if flat else torch.channels_last_3d)
clips = torch.randn(n, t, h, w, 3).permute(0, 4, 1, 2, 3)
clips = clips if layout == "channels_last" else clips.contiguous()
labels = torch.arange(n)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)

def forward():
    if flat:
        # The mean over frames comes after the classifier here; its cost is nothing.
        return model(clips.transpose(1, 2).flatten(0, 1)).unflatten(0, (n, t)).mean(1)
    if name == "videomae_s":
        return model(clips.transpose(1, 2)).logits
    return model(clips)

def step():
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        loss = nn.functional.cross_entropy(forward(), labels)
    loss.backward()
    optimizer.step()

step()
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    step()
    print(time.perf_counter() - start, flush=True)
"""


def faster(command):
    """Starts a program in the memory format in which it is faster."""
    found = {}
    for layout in FORMATS:
        program = Program([*command, layout])
        found[layout] = min(program.turn()[0] for _ in range(2))
        program.end()
    layout = min(found, key=found.get)
    return Program([*command, layout]), layout


def measure(name, ours, python, rounds, bfloat16):
    """Prints the figures of a network and returns the ratios of wall and CPU seconds to PyTorch in the same precision."""
    params, original, sizes = NETWORKS[name]
    precisions = ["bfloat16", "float32"] if bfloat16 else ["float32"]
    programs = {"pipe": Program([ours, json.dumps(params), *sizes, *(["bfloat16"] if bfloat16 else [])])}
    layouts = {}
    for precision in precisions:
        who = f"PyTorch {precision}"
        programs[who], layouts[who] = faster([python, "-c", PEER, original, *sizes, precision])
    figures = medians(programs, rounds)
    memory = {who: program.memory_mib() for who, program in programs.items()}
    ratios = {who: [figures["pipe"][at] / figures[who][at] for at in (0, 1)] for who in layouts}
    for who, (wall, cpu) in ratios.items():
        print(f"{name:15} wall {wall:5.2f}  CPU {cpu:5.2f}  memory {memory['pipe'] / memory[who]:5.2f} of {who}", end="; ")
    for who, program in programs.items():
        of = f" ({layouts[who]})" if who in layouts else ""
        print(f"{who}{of} {figures[who][0]:.3f} s, CPU {figures[who][1]:.3f} s, {memory[who]:.0f} MiB", end="; ")
        program.end()
    print(flush=True)
    return ratios[f"PyTorch {precisions[0]}"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pipe", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only")
    parser.add_argument("--bfloat16", action="store_true")
    options = parser.parse_args()
    python = python_with("forward", PACKAGES)
    if python is None:
        sys.exit("PyTorch can't be installed, so there is nothing to compare with")
    root = pathlib.Path(__file__).parent.parent
    subprocess.run(["cargo", "build", "--release", "--package", "pipe-learn", "--example", "train"], cwd=root, check=True)
    ours = options.pipe.parent / "examples" / "train"
    load = os.getloadavg()[0]
    print(f"{options.rounds} rounds in turns, medians; load of the machine before: {load:.1f}; clips as in the source of this file")
    ratios = [measure(name, ours, python, options.rounds, options.bfloat16) for name in NETWORKS if options.only in (None, name)]
    if not ratios:
        sys.exit(f"`{options.only}` is not one of {', '.join(NETWORKS)}")
    wall, cpu = (math.exp(sum(math.log(ratio[at]) for ratio in ratios) / len(ratios)) for at in (0, 1))
    print(f"geometric mean  wall {wall:5.2f}  CPU {cpu:5.2f} of PyTorch")


main()
