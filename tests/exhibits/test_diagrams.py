import itertools
import logging
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from paperkit.exhibits import diagrams, style

DIAGRAMS = {
    "network": ["Input", "Embedding", "Bi-LSTM", "Attention", "Output", "LSTM", "word2vec", "$(N,T,d)$", "$(N,T)$",
                "forward", "backward", "sum", "tanh", "focal loss  (13)", "softmax", "(7)", "(8), (9)"],
    "word2vec": ["CBOW", "Skip-gram", "projection", "one-hot input", "mean", "$w_{t-2}$", "$w_{t+2}$", "maximise"],
    "attention": ["Bi-LSTM output $H$", "nonlinear $M$", "softmax", "tanh", "(8)", "(9)", "(10)", "(11)",
                  r"weights $\alpha$", "sentence $h^{*}$"],
}  # fmt: skip
CHINESE = {
    "network": ["输入层", "编码层", "双向 LSTM 层", "注意力层", "输出层", "前向", "后向", "景色"],
    "word2vec": ["连续词袋模型：由上下文预测词", "连续跳字模型：由词预测上下文", "投影"],
    "attention": ["注意力权重", "句子表示", "lovely 美"],
}


def texts(figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text().strip()]


@pytest.mark.parametrize("name", DIAGRAMS)
@pytest.mark.parametrize("machine", ["with_font", "without_font"])
def test_a_diagram_says_what_matters_with_every_glyph(name, machine, request, tmp_path, caplog):
    request.getfixturevalue(machine)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*English only")
        figure = getattr(diagrams, name)()
        svg, _ = style.save(figure, tmp_path / name)
    assert not caplog.records
    written = "\n".join(text.get_text() for text in texts(figure))
    for words in DIAGRAMS[name]:
        assert words in written
    for words in CHINESE[name]:
        assert (words in written) == (machine == "with_font")
    assert svg.stat().st_size < style.SVG_LIMIT


def test_a_diagram_is_the_same_to_the_byte(with_font, tmp_path):
    one, two = (style.save(diagrams.attention(), tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


@pytest.mark.parametrize("name", DIAGRAMS)
@pytest.mark.parametrize("machine", ["with_font", "without_font"])
def test_no_text_overlaps_another_or_leaves_the_page(name, machine, request):
    request.getfixturevalue(machine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = getattr(diagrams, name)()
    renderer = FigureCanvasAgg(figure).get_renderer()
    extents = [(text.get_text(), text.get_window_extent(renderer)) for text in texts(figure)]
    for words, box in extents:
        assert box.x0 > 0 and box.y0 > 0 and box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1, words
    slack = 0.5 * figure.dpi / diagrams.MM  # half a millimetre: extents count the room below letters
    for (words, one), (others, other) in itertools.combinations(extents, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        along = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across < slack or along < slack, (words, others)


def test_the_weights_shown_are_those_of_the_equations(without_font):
    values = diagrams.example()
    scores = [sum(values["w"][i] * np.tanh(values["H"][i, t]) for i in range(4)) for t in range(5)]
    alpha = [np.exp(score) / sum(np.exp(scores)) for score in scores]
    r = sum(alpha[t] * values["H"][:, t] for t in range(5))
    np.testing.assert_allclose(values["alpha"], alpha)
    np.testing.assert_allclose(values["h"], np.tanh(r))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = {text.get_text() for text in texts(diagrams.attention())}
    assert {f"{weight:.2f}"[1:] for weight in alpha} <= written


def test_arrows_end_where_a_box_begins(without_font):
    box = diagrams.Box(10, 20, 6, 4)
    assert (box.left(), box.right(), box.top(1), box.bottom(-1)) == ((7, 20), (13, 20), (11, 22), (9, 18))
