"""Greets by a template."""

import jinja2

print(jinja2.Template("hello {{ name|upper }}").render(name="jinja"))
