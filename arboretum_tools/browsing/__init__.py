"""See what you have: a page on this machine that shows a store, a split, an export or a selection.

    sources       what is shown, as rows of one form
    photo_table   these rows beside the states of the store, on disk, and what is counted of them
    filters       which of them: the query of an address, as SQL
    predictions   what a model made of the photos of a part
    two_models    where one model is right and another is not
    thumbnails    small images, made on demand
    marks         photos that a person marked, as a file
    answers       all of it over HTTP, and what keeps others out
    server        the page that is served: its address, its thread, its end
    gallery       the photos of a filter as a page that needs no server

The page itself is `static/`: HTML, CSS and JavaScript modules as they are written, nothing built; `frame` is
what all of its `views` stand in.
"""

from arboretum_tools.browsing.filters import Filter

__all__ = ["Filter"]
