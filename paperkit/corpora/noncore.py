"""Which texts are *core* reviews: paper B drops those with weak or no sentiment, by rules that it does not print.

The paper names two such texts (该用户默认好评, 该用户评价默认好评). The rules below are ours, in this order; each names
its kind, is counted per class in the corpus report, and looks at the text only, never at its label:

====================  ==================================================================================================
kind                  rule for Chinese
====================  ==================================================================================================
no Han character      empty, or only emoji, digits, Latin letters and punctuation: nothing is left after cleaning
too short             fewer than two Han characters
default praise        once the phrases that a platform writes for a silent user (用户未点评，系统默认好评 …) are taken
                      out, fewer than two Han characters are left; so a review that *talks about* default praise stays
only interjections    laughter and sighs that fill the box to its minimum length: 哈哈哈哈哈, 啊啊啊啊
placeholder           the whole text is a way of saying nothing: 暂无, 没什么好说的
====================  ==================================================================================================

English has the first two, on letters: ``no letters``, ``too short``.

Kept on purpose: a repeated judgement (好好好好好, 不错不错) is crude but it is sentiment, and mild ones (一般) are what
the focal loss is about. Whether a noun alone (房间) carries sentiment no rule can tell, so it stays.
"""

import regex

CORE = "core"
NO_HAN, TOO_SHORT, DEFAULT_PRAISE = "no Han character", "too short", "default praise"
INTERJECTIONS, PLACEHOLDER, NO_LETTERS = "only interjections", "placeholder", "no letters"
KINDS = (NO_HAN, TOO_SHORT, DEFAULT_PRAISE, INTERJECTIONS, PLACEHOLDER, NO_LETTERS)

SHORTEST = 2  # Han characters, or letters

_HAN = regex.compile(r"\p{Han}+")
_LETTER = regex.compile(r"\p{Letter}")
_SIMPLIFIED = str.maketrans(
    "認評該戶內寫沒統動點論顧買這個還為給對幾時發後經過", "认评该户内写没统动点论顾买这个还为给对几时发后经过"
)

_WHO = (
    r"(?:[该此本某]|这[个位])?(?:匿名)?(?:用户|买家|顾客|客户|会员|网友|旅客|游客|客人|住客|消费者|评价方|点评方|对方)"
)
_REVIEW = r"(?:评价|点评|评论)"
_LATE = r"(?:(?:在|超过)? {0,2}\d{1,3} {0,2}(?:天|日|小时)内?|超时|逾期)?"
_NOT = r"(?:没有?|未|暂未|暂无|尚未|还没有?|并未)(?:及时|按时|主动)?"
_WRITE = r"(?:填写|发表|留下|写下|[作做]出?|给出|进行|撰写|提交)"
_WHAT = rf"(?:任何|具体|详细|有效|文字|的)*{_REVIEW}?(?:内容|文字|意见|信息)?了?"
_SILENT = regex.compile(
    # 用户未点评 · 此用户没有填写评价 · 评价方未及时做出评价; without a subject the review must be named: 超时未评价
    rf"{_WHO}{_LATE}{_NOT}(?:{_WRITE}{_WHAT}|{_REVIEW}(?:内容|文字)?了?)"
    rf"|{_LATE}{_NOT}{_WRITE}?(?:任何|具体|详细|有效|文字|的)*{_REVIEW}(?:内容|文字|意见|信息)?"
    # 该用户默认好评 · 该用户评价默认好评 · 系统自动给出五星好评
    rf"|(?:{_WHO}的?)?{_REVIEW}?{_LATE}[被由已将]*(?:系统|平台)?[已将]?(?:自动默认|默认|自动)"
    rf"(?:系统|给予|给出|给了?|为|是|作出|做出|的)*(?:全?[五5]星|满分)?(?:{_REVIEW}|好评|评分|满意)(?:内容)?了?"
)
_INTERJECTIONS = regex.compile(r"[哈呵嘿嘻啊哦噢喔嗯恩唉哎呀哇呜咦额呃哼嘛呢吧啦咯喽嗷吼]+")
_PLACEHOLDER = regex.compile(
    r"暂无(?:评价|意见|内容|点评)?|没有|没了|没啥|无(?:评价|内容|意见)|同上|如[题上]|见上"
    r"|(?:也|实在|真的?)?(?:没有?|无)(?:什么|啥)?[可好想要话]*(?:说|写|评价|评)[的了]*"
    r"|(?:不知道?|不晓得)[该要]?(?:说|写|评价|评)[点些]?(?:什么|啥)[好了]*"
    r"|(?:为了?)?[凑够满]+(?:十五|二十|十)?个?字数?"
)


def status_of(text: str, language: str) -> str:
    """``"core"``, or the kind of non-core text, one of :data:`KINDS`. ``language`` is ``"zh"`` or ``"en"``."""
    if language == "en":
        letters = len(_LETTER.findall(text))
        return NO_LETTERS if not letters else TOO_SHORT if letters < SHORTEST else CORE

    han = "".join(_HAN.findall(text)).translate(_SIMPLIFIED)
    if len(han) < SHORTEST:
        return TOO_SHORT if han else NO_HAN
    if "评" in han or "默认" in han:
        rest, found = _SILENT.subn("", text.translate(_SIMPLIFIED))
        if found and len("".join(_HAN.findall(rest))) < SHORTEST:
            return DEFAULT_PRAISE
    if _INTERJECTIONS.fullmatch(han):
        return INTERJECTIONS
    return PLACEHOLDER if _PLACEHOLDER.fullmatch(han) else CORE
