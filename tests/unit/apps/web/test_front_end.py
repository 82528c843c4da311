"""What Vite's manifest says about an entry."""

import json
from types import SimpleNamespace

import pytest
from django.template import Context, Template

from apps.web import front_end

# As `vite build` writes it: https://vite.dev/guide/backend-integration
MANIFEST = {
    "_shared-B7PI925R.js": {"file": "assets/shared-B7PI925R.js", "css": ["assets/shared-ChJ_j-JJ.css"]},
    "_deep-Cx1.js": {"file": "assets/deep-Cx1.js", "imports": ["_shared-B7PI925R.js"]},
    "baz.js": {"file": "assets/baz-B2H3sXNv.js", "isDynamicEntry": True},
    "views/foo.js": {
        "file": "assets/foo-BRBmoGS9.js", "isEntry": True, "imports": ["_deep-Cx1.js", "_shared-B7PI925R.js"],
        "css": ["assets/foo-5UjPuW-k.css"], "dynamicImports": ["baz.js"],
    },
}  # fmt: skip


@pytest.fixture
def built(tmp_path, settings):
    settings.BASE_DIR = tmp_path
    path = front_end.manifest_path()
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(MANIFEST))
    return path


@pytest.mark.usefixtures("built")
def test_an_entry_brings_the_styles_and_chunks_of_what_it_imports_each_once_but_nothing_lazy():
    entry = front_end.entry("views/foo.js")
    assert entry.script == "assets/foo-BRBmoGS9.js"
    assert entry.imports == ("assets/shared-B7PI925R.js", "assets/deep-Cx1.js")
    assert entry.styles == ("assets/shared-ChJ_j-JJ.css", "assets/foo-5UjPuW-k.css")


@pytest.mark.usefixtures("built")
def test_the_tag_writes_links_that_browsers_understand():
    request = SimpleNamespace(csp_nonce="n0+/=")
    text = '{% load vite %}{% vite_nonce %}{% vite_asset "views/foo.js" %}'
    html = Template(text).render(Context({"request": request}))
    assert html.startswith('<meta property="csp-nonce" nonce="n0+/=">')
    assert '<link rel="stylesheet" href="/static/assets/foo-5UjPuW-k.css" nonce="n0+/=">' in html
    assert '<link rel="modulepreload" href="/static/assets/deep-Cx1.js" nonce="n0+/=">' in html
    assert html.endswith('<script type="module" src="/static/assets/foo-BRBmoGS9.js" nonce="n0+/="></script>')
    assert "baz" not in html


def test_a_front_end_that_is_not_built_says_how_to_build_it(tmp_path, settings):
    settings.BASE_DIR = tmp_path
    with pytest.raises(front_end.FrontEndNotBuilt, match="make front"):
        front_end.entry("views/foo.js")


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", ["views/bar.js", "baz.js"])
def test_an_unknown_entry_is_an_error_that_names_the_known_ones(name):
    with pytest.raises(front_end.FrontEndNotBuilt, match=r"views/foo\.js"):
        front_end.entry(name)


def test_a_new_build_is_seen_without_a_restart(built):
    assert front_end.entry("views/foo.js").script == "assets/foo-BRBmoGS9.js"
    changed = {**MANIFEST, "views/foo.js": {**MANIFEST["views/foo.js"], "file": "assets/foo-NEW.js"}}
    built.write_text(json.dumps(changed))
    assert front_end.entry("views/foo.js").script == "assets/foo-NEW.js"
