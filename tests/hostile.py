"""Thirty titles that a page which trusts them would execute, load or lay out. Each that can sets window.hacked."""

TITLES = [
    "<script>window.hacked=1</script>", "<img src=x onerror=window.hacked=1>", '"><svg onload=window.hacked=1>',
    "' onmouseover='window.hacked=1", "</div></div><h1>huge", "<style>*{display:none}</style>",
    "<iframe src=//evil.test>", "[click](javascript:window.hacked=1)", "![x](http://evil.test/x.png)",
    "**bold** _it_ `code`", "# Heading", "- item", "1. item", "> quote", ":red[red] :smile: :material/delete:",
    "$x^2$ and $$y$$", "a\nb\tc\rd", "\u202eevil\u202c rtl", "شبهای روشن", "{{ 7 * 7 }} {% raw %}", "${7*7} #{7*7}",
    "&lt;script&gt; &amp; &#60;", "http://evil.test www.evil.test", "| a | b |\n|---|---|", "~~gone~~ ==mark==",
    "\\*escaped\\*", "a" * 400, "Die " + "sehr " * 60 + "lange", "<a href='javascript:window.hacked=1'>x</a>",
    "\x00\x07🎬👩‍👩‍👧",
]  # fmt: skip
assert len(TITLES) == 30
