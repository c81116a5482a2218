"""`distrecvae export`: a saved model as one file for other runtimes."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.places import PLACE

# `distrecvae.saved.export` has the formats; it is not imported here so that --help starts without PyTorch.
_FORMATS = ("onnx", "pt2")


@click.command("export", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--model", "folder", type=PLACE, required=True, metavar="DIR",
              help="Results folder of `train` or `search`, or the best/ in it; or its URI.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help="The file to write, .onnx or .pt2; one that is there is replaced.")  # fmt: skip
@click.option("--format", "file_format", type=click.Choice(_FORMATS),
              help="[default: told by the ending of --out]")  # fmt: skip
def command(folder: Path | str, out: Path, file_format: str | None) -> None:
    """Write a saved model as one graph, from users' rows to scores.

    onnx is for ONNX Runtime and whatever else reads ONNX; it needs `pip install onnxscript onnxruntime`.
    pt2 is a program of torch.export, for PyTorch; TorchScript, which PyTorch has deprecated, is not written.

    The graph takes `histories`, float32 (batch, n_items), 1 where a user has an item, else 0, and
    gives `scores`, float32 (batch, n_items). What a user has is scored too: leave it out
    yourself. Beside OUT lies NAME.items.parquet, the item id of each position. The file appears only if
    its scores are the model's, to 1e-5. wmf and pmf cannot be exported.

    \b
    Examples:
      distrecvae export --model runs/mine --out recvae.onnx
      distrecvae export --model runs/mine/best --out recvae.pt2
    """
    from distrecvae.saved.export import export_model, format_of
    from distrecvae.saved.model import load_model

    chosen = format_of(out, file_format)
    exported = export_model(load_model(folder), out, chosen)
    for path in exported.files:
        click.echo(f"{path} ({path.stat().st_size / 2**20:,.1f} MiB)")
    click.echo(
        f"checked    the scores of {exported.n_checked} users differ from the model's by at most"
        f" {exported.error:.0e} of the greatest"
    )
