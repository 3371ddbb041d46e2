"""Measures forward passes at inference against PyTorch eager, as ratios within one run.

    cargo xtask bench forward [--rounds N] [--only NETWORK]

Each network runs in two programs that take turns: `pipe`'s graph on libtorch, and the original in Python (torchvision, PyTorchVideo
or Transformers) under `no_grad`, both with two threads that sleep while they wait (OMP_WAIT_POLICY=passive). Each is first tried
with clips in both memory formats and keeps the faster one; the original's weights have the format of its clips. Each figure is the
median of several rounds, in wall and in CPU seconds; memory is the largest resident set.
"""

import argparse, json, pathlib, subprocess, sys
from peers import python_with
from turns import Program, medians

ROUNDS = 7
FORMATS = ("channels_last", "contiguous")
PACKAGES = ["torch==2.13.0", "torchvision==0.28.0", "transformers==5.24.0", "pytorchvideo==0.1.5", "numpy"]

# Name: parameters of `backbone`, the original, and clips N, T, H, W.
NETWORKS = {
    "TSN-R50": ({"type": "ResNet", "depth": 50}, "tsn_r50", (1, 8, 224, 224)),
    "R3D-18": ({"type": "R3D"}, "r3d_18", (1, 16, 112, 112)),
    "SlowFast 4x16": (
        {"type": "ResNet3dSlowFast", "resample_rate": 8, "speed_ratio": 8, "fusion_kernel": 5, "form": "pytorchvideo"},
        "slowfast", (1, 32, 224, 224),
    ),
    "X3D-S": ({"type": "X3D"}, "x3d_s", (1, 13, 160, 160)),
    "MViTv2-S": ({"type": "MViT"}, "mvit_v2_s", (1, 16, 224, 224)),
    "Swin3D-T": ({"type": "SwinTransformer3D"}, "swin3d_t", (1, 16, 224, 224)),
    "VideoMAE-S": ({"type": "VisionTransformer", "embed_dims": 384, "num_heads": 6}, "videomae_s", (1, 16, 224, 224)),
}

PEER = """
import sys, time, torch
torch.set_num_threads(2)
name, n, t, h, w, layout = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]

def build():
    if name == "tsn_r50":
        from torchvision.models import resnet50
        return resnet50(num_classes=400)
    if name in ("r3d_18", "mvit_v2_s", "swin3d_t"):
        import torchvision.models.video as video
        return getattr(video, name)(num_classes=400)
    if name == "x3d_s":
        from pytorchvideo.models.x3d import create_x3d
        return create_x3d(input_clip_length=t, input_crop_size=h, model_num_class=400, head_activation=None)
    if name == "slowfast":
        from pytorchvideo.models.slowfast import create_slowfast
        return create_slowfast(
            model_num_class=400, slowfast_fusion_conv_kernel_size=(5, 1, 1), slowfast_fusion_conv_stride=(8, 1, 1),
            head_pool_kernel_sizes=((t // 8, h // 32, w // 32), (t, h // 32, w // 32)),
        )
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification
    return VideoMAEForVideoClassification(VideoMAEConfig(
        hidden_size=384, num_attention_heads=6, intermediate_size=1536, num_labels=400, use_mean_pooling=True,
        num_frames=t, image_size=h, attn_implementation="sdpa"))

model = build().eval()
clips = torch.randn(n, 3, t, h, w)
if layout == "channels_last":
    flat = name == "tsn_r50"
    model = model.to(memory_format=torch.channels_last if flat else torch.channels_last_3d)
    clips = clips.contiguous(memory_format=torch.channels_last_3d)

def forward():
    if name == "tsn_r50":
        # The mean over frames comes after the classifier here; its cost is nothing.
        return model(clips.transpose(1, 2).flatten(0, 1)).unflatten(0, (n, t)).mean(1)
    if name == "slowfast":
        index = torch.linspace(0, t - 1, t // 8).long()
        return model([clips.index_select(2, index), clips])
    if name == "videomae_s":
        return model(clips.transpose(1, 2)).logits
    return model(clips)

with torch.no_grad():
    forward()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        forward()
        print(time.perf_counter() - start, flush=True)
"""


def faster(command, sizes):
    """Starts a program in the memory format in which it is faster."""
    found = {}
    for layout in FORMATS:
        program = Program([*command, *sizes, layout])
        found[layout] = min(program.turn()[0] for _ in range(2))
        program.end()
    layout = min(found, key=found.get)
    return Program([*command, *sizes, layout]), layout


def measure(name, ours, python, rounds):
    params, original, sizes = NETWORKS[name]
    programs = {
        "pipe": faster([ours, json.dumps(params)], sizes),
        "PyTorch": faster([python, "-c", PEER, original], sizes),
    }
    figures = medians({who: program for who, (program, _) in programs.items()}, rounds)
    wall, cpu = (figures["pipe"][at] / figures["PyTorch"][at] for at in (0, 1))
    print(f"{name:14} wall {wall:5.2f}  CPU {cpu:5.2f} of PyTorch", end="")
    for who, (program, layout) in programs.items():
        print(f"; {who} {figures[who][0]:.3f} s, CPU {figures[who][1]:.3f} s, {program.memory_mib():.0f} MiB, {layout}", end="")
        program.end()
    print(flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pipe", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only")
    options = parser.parse_args()
    python = python_with("forward", PACKAGES)
    if python is None:
        sys.exit("PyTorch can't be installed, so there is nothing to compare with")
    root = pathlib.Path(__file__).parent.parent
    build = ["cargo", "build", "--release", "--package", "pipe-learn", "--example", "forward"]
    subprocess.run(build, cwd=root, check=True)
    ours = options.pipe.parent / "examples" / "forward"
    print(f"{options.rounds} rounds in turns, medians; clips of N x T x H x W as in the source of this file")
    for name in NETWORKS:
        if options.only in (None, name):
            try:
                measure(name, ours, python, options.rounds)
            except RuntimeError as error:
                print(f"{name:14} left out: {error}")


main()
