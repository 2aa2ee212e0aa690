"""Paper A's Fig. 1 says what the loss is made of, in both languages, and nothing in it overlaps."""

import itertools
import warnings

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from paperkit.exhibits import diagram_a, diagrams, style
from tests.exhibits.test_diagrams import texts

SAID = ["labelled texts", "unlabelled texts: UDA", "unlabelled texts: ESimCSE", "shared", "momentum", "queue", "no gradient",
        "FGM, PGD", "words repeated", "augmented", "CE", "KL", "InfoNCE", "total loss", r"$L_{\mathrm{sup}}$",
        r"$L_{\mathrm{cons}}$", r"$L_{\mathrm{adv}}$", r"$L_{\mathrm{sim}}$", r"\lambda_u", r"\alpha_{\mathrm{adv}}"]  # fmt: skip
CHINESE = ["有标注文本", "共享编码器", "动量编码器", "队列", "总损失", "词重复"]


@pytest.mark.parametrize("machine", ["with_font", "without_font"])
def test_the_framework_says_what_matters_and_nothing_overlaps(machine, request, tmp_path):
    request.getfixturevalue(machine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*English only")
        figure = diagram_a.framework()
        svg, _ = style.save(figure, tmp_path / "framework")
    assert svg.stat().st_size < style.SVG_LIMIT
    written = "\n".join(text.get_text() for text in texts(figure))
    assert [words for words in SAID if words not in written] == []
    assert [words for words in CHINESE if (words in written) != (machine == "with_font")] == []

    renderer = FigureCanvasAgg(figure).get_renderer()
    extents = [(text.get_text(), text.get_window_extent(renderer)) for text in texts(figure)]
    slack = 0.5 * figure.dpi / diagrams.MM  # half a millimetre: extents count the room below letters
    for words, box in extents:
        assert box.x0 > 0 and box.y0 > 0 and box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1, words
    for (words, one), (others, other) in itertools.combinations(extents, 2):
        across, along = (min(getattr(one, high), getattr(other, high)) - max(getattr(one, low), getattr(other, low))
                         for low, high in (("x0", "x1"), ("y0", "y1")))  # fmt: skip
        assert across < slack or along < slack, (words, others)
