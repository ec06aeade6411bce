"""A verification as one file to attach to a change ticket: a page that needs nothing else, or Markdown.

No plot library: three small charts are some kB of SVG that we write ourselves. Those that can be bundled are 68 kB to
4.7 MB of JavaScript, draw nothing where no script may run, and would put a program of others into a file about people.
"""
