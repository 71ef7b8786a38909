"""The explorer: folders of works -> a page on this machine that shows what lies in them.

    catalog     folders -> studies, corpora, trainings, models, by ids that stand for their paths
    works       one of them, read: studies (claims, losses), runs (curves, recipes), mixtures, calibration
    index       a corpus's Parquet tables -> one narrow table, a row a document, kept in the cache
    documents   search, filters, pages of results; one document, its signals and neighbours
    opened      models, the last few of them open: texts, tasks
    writing     a prompt -> tokens, each with its probability and what else was likely; losses of a text's tokens
    attention   who looks at whom, by layer and head, computed in the open
    mattering   which tokens an answer rests on: occlusion, integrated gradients
    api         all of it as JSON over HTTP, and the files of the page (page/)

The page is files as they are: no build step, nothing from another machine, no script within the HTML.
"""
