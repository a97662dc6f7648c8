"""The contracts as pages that need no network: Swagger UI over an OpenAPI document, all in one file.

`page_of("erp")` is the page, `json_of("erp")` the document that it shows, references bundled. A page that was served
lets its reader call the very host that served it; one that was opened from a file only shows.

The scripts come with the package swagger-ui-py, of which nothing is executed but them: it is looked up, not imported.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import jinja2
import orjson
from markupsafe import Markup

from contracts.documents import load_document
from contracts.errors import PagesUnavailable

_TEMPLATES = Path(__file__).with_name("templates")


@cache
def json_of(document: str) -> bytes:
    """The OpenAPI document of that name, self-contained, as JSON; UnknownContract names those that exist."""
    return orjson.dumps(load_document(document))


@cache
def page_of(document: str) -> str:
    """The HTML page of the OpenAPI document of that name. PagesUnavailable when Swagger UI is not installed."""
    assets = _assets()
    title = load_document(document)["info"]["title"]
    return environment().get_template("openapi.html").render(
        title=title,
        css=Markup((assets / "swagger-ui.css").read_text(encoding="utf-8")),
        script=_inline((assets / "swagger-ui-bundle.js").read_text(encoding="utf-8")),
        document=_inline(json_of(document).decode()),
    )  # fmt: skip


def _inline(script: str) -> Markup:
    """A script or JSON that may stand inside <script>: no `</script` or `<!--` can end or upset it."""
    return Markup(script.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


def _assets() -> Path:
    spec = find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise PagesUnavailable('pages need Swagger UI, which is not installed: pip install "peakproof[contracts]"')
    return Path(spec.submodule_search_locations[0]) / "static"


@cache
def environment() -> jinja2.Environment:
    """What renders the templates of this package; all that they are given is escaped."""
    loader = jinja2.FileSystemLoader(_TEMPLATES)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
