"""How the page looks: the system's own fonts, two colour schemes, paper, and a window of any width."""

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--ink:#1b1f24;--dim:#57606a;--rule:#d0d7de;--soft:#f6f8fa;--bar:#6b8db5;
--line:#0b3d91;--good:#1a7f37;--bad:#b42318}
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--ink:#e6edf3;--dim:#9da7b3;--rule:#30363d;--soft:#161b22;
--bar:#4a6d97;--line:#a5c8ff;--good:#3fb950;--bad:#ff7b72}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 3rem;background:var(--bg);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.1rem;font-weight:600;color:var(--dim);margin:0}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem;padding-bottom:.2rem;border-bottom:1px solid var(--rule)}
h3{font-size:1rem;margin:1.4rem 0 .3rem}
p{margin:.5rem 0;overflow-wrap:anywhere}
.verdict{font-size:1.9rem;font-weight:700;line-height:1.2;margin:.3rem 0}
.verdict.good{color:var(--good)}.verdict.bad{color:var(--bad)}
.bound{font-size:1.1rem;border-left:4px solid var(--rule);padding:.2rem 0 .2rem .8rem;margin:.8rem 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:1rem 0;font-size:.92rem}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
ul{padding-left:1.2rem}li{overflow-wrap:anywhere;margin:.25rem 0}
.scroll{overflow-x:auto;margin:0 0 1rem}
.scroll:focus-visible{outline:2px solid var(--line);outline-offset:2px}
table{border-collapse:collapse;min-width:50%;font-size:.88rem;font-variant-numeric:tabular-nums}
.caption{color:var(--dim);font-size:.9rem;margin:1.2rem 0 .2rem;break-after:avoid}
th,td{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
th[scope=row]{font-weight:400}
thead th{white-space:nowrap;font-weight:600}
td.n,th.n{text-align:right;white-space:nowrap}
table.wide{width:100%}th.w,td.w{overflow-wrap:anywhere;min-width:11rem;width:40%}th.s,td.s{white-space:nowrap}
tr.wrong th::before{content:"\\2717\\00a0";color:var(--bad)}
tr.wrong th,tr.wrong td{color:var(--bad)}
figure{margin:1rem 0;break-inside:avoid}
figcaption{font-size:.9rem;color:var(--dim)}figcaption b{font-weight:600;color:var(--ink)}
.key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 .8em;background:var(--bar);vertical-align:-.05em}
.key.stroke{height:.25em;background:var(--line);vertical-align:.25em}
svg{width:100%;height:auto;display:block}
svg text{fill:var(--ink);font-size:14px}svg text.mark{fill:var(--bad)}
.bar{fill:var(--bar)}.bad{fill:var(--bad)}.area{fill:var(--bar);fill-opacity:.45}.dot{fill:var(--line)}
.line{fill:none;stroke:var(--line);stroke-width:1.8}.axis{stroke:var(--dim)}.grid{stroke:var(--rule)}
footer{margin-top:2.5rem;color:var(--dim);font-size:.85rem}
@media (max-width:560px){svg text{font-size:24px}.verdict{font-size:1.5rem}dl{grid-template-columns:1fr;gap:0}
dd{margin-bottom:.4rem}}
@media print{:root{--bg:#fff;--ink:#000;--dim:#444;--rule:#bbb;--bar:#8aa4c4;
--line:#0b3d91;--good:#1a7f37;--bad:#b42318}body{max-width:none;padding:0;font-size:10.5pt}h2,h3{break-after:avoid}
tr{break-inside:avoid}thead{display:table-header-group}
.scroll{overflow:visible}.verdict,.key,rect,path,circle{-webkit-print-color-adjust:exact;print-color-adjust:exact}
@page{margin:16mm}}
"""
