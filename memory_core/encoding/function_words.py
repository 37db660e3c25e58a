"""English words that carry grammar instead of content, question words included, as the tokeniser yields them."""

from __future__ import annotations

from typing import Final

ENGLISH_FUNCTION_WORDS: Final = frozenset(
    """
    a an the this that these those such same other another each every either neither both all any some no none few
    many much more most several own
    i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its itself we us
    our ours ourselves they them their theirs themselves one ones someone somebody something anyone anybody anything
    everyone everybody everything nobody nothing
    what which who whom whose when where why how whatever whichever whoever whenever wherever however
    am is are was were be been being do does did done doing have has had having can could will would shall should may
    might must ought cannot
    don doesn didn isn aren wasn weren hasn haven hadn won wouldn shouldn couldn mustn needn ain shan mightn
    let lets get gets got
    of in on at by for with about against between among into onto through during before after above below to from up
    down out off over under upon within without toward towards across along around behind beside besides beyond near
    per via since until till
    and or but nor so yet if unless because as while whereas although though than whether then else
    not never also too very just only even still already again ever once here there now rather quite almost perhaps
    maybe please
    yes yeah ok okay oh
    """.split()
)
