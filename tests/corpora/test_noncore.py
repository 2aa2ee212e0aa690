"""What counts as a core review."""

import time

import pytest

from paperkit.corpora.noncore import KINDS, status_of


@pytest.mark.parametrize(
    "text",
    [
        "该用户默认好评",
        "该用户评价默认好评",
        "默认好评",
        "默认五星好评！",
        "系统默认好评。",
        "系统自动默认好评",
        "用户未点评，系统默认好评。",
        "此用户没有填写评价",
        "此用户没有填写文字评价。",
        "此用户未填写评价内容",
        "此用户未及时填写评价内容，系统默认好评！",
        "评价方未及时做出评价,系统默认好评!",
        "15天内未评价，系统自动好评",
        "该用户 7 天内未点评",
        "买家没有填写评价内容",
        "该用户暂未评价",
        "超时默认好评",
        "未评价",
        "該用戶默認好評",
        "该用户默认好评该用户默认好评",
        "该用户默认好评👍👍",
    ],
)
def test_a_platforms_own_phrase_is_default_praise(text):
    assert status_of(text, "zh") == "default praise"


@pytest.mark.parametrize(
    "text",
    [
        "好评",
        "不错，好评",
        "默认好评，床很软",
        "房间没有点评说的那么好",
        "客人没满意过",
        "住客不满意",
        "前台忘了退房，到时系统默认好评，可我一点都不满意，早餐也凉",
        "我没有评价过这么差的店",
        "好好好好好",
        "不错不错不错",
        "很好！！！",
        "一般",
        "哈哈哈真好玩",
        "没有什么不满意",
        "没什么好说的，就是贵",
        "WiFi很快",
    ],
)
def test_a_persons_judgement_is_core(text):
    assert status_of(text, "zh") == "core"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "no Han character"),
        ("   \n", "no Han character"),
        ("👍👍👍", "no Han character"),
        ("。。。", "no Han character"),
        ("12345", "no Han character"),
        ("very good", "no Han character"),
        ("\ud83d", "no Han character"),
        ("好", "too short"),
        ("赞👍👍", "too short"),
        ("哈哈哈哈哈", "only interjections"),
        ("啊，啊，啊……", "only interjections"),
        ("暂无", "placeholder"),
        ("没什么好说的。", "placeholder"),
        ("不知道说什么", "placeholder"),
        ("凑够十五个字", "placeholder"),
    ],
)
def test_other_kinds(text, kind):
    assert status_of(text, "zh") == kind
    assert kind in KINDS


@pytest.mark.parametrize(
    ("text", "status"),
    [("", "no letters"), ("5/5 :-)", "no letters"), ("x", "too short"), ("ok", "core"), ("A fine hotel.", "core")],
)
def test_english(text, status):
    assert status_of(text, "en") == status


@pytest.mark.parametrize("piece", ["评", "评 ", "评1", "用户未", "默认", "没有", "凑", "没什么好", "该用户默认"])
def test_no_text_takes_long(piece):
    start = time.process_time()
    status_of(piece * (20_000 // len(piece)) + "价", "zh")
    assert time.process_time() - start < 1
