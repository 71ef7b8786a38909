"""What stands around the text of web pages, and is none of it: menus, notices, footers, in English and Chinese.

    documents batch, seed -> headers and footers before and behind the text of each, by its language

Real boilerplate repeats word by word from page to page; so these are a few texts, not made anew for each document.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assay.corpus.altering.distortions import Told
from assay.corpus.altering.edits import Edits, draw, mostly_han, spliced, told_by
from assay.corpus.text import characters as ch

HEADERS = {
    "en": (
        "Home | About Us | Products | News | Careers | Contact",
        "Skip to main content\nSign in\nSubscribe\nSearch",
        "Home > News > Articles\nShare on Facebook  Share on Twitter  Email  Print",
        "We use cookies to give you the best experience on our website. By continuing to use this site you agree to "
        "our use of cookies.\nAccept all  Manage preferences",
        "Menu\nHome\nBlog\nCategories\nArchive\nRSS",
        "You are here: Home / Articles / Details\nPosted by admin | 0 comments",
    ),
    "zh": (
        "首页 | 公司简介 | 产品中心 | 新闻动态 | 人才招聘 | 联系我们",
        "登录 | 注册 | 会员中心 | 收藏本站 | 设为首页",
        "您现在的位置：首页 > 新闻中心 > 正文\n字号：大 中 小  打印  关闭",
        "本网站使用 Cookie 以改善您的浏览体验。继续浏览即表示您同意我们使用 Cookie。\n接受  拒绝  查看详情",
        "跳到主要内容\n搜索\n热门搜索：时事  财经  体育  娱乐  科技",
        "当前位置：首页>>资讯>>详细内容\n发布者：管理员  浏览次数：0",
    ),
}
FOOTERS = {
    "en": (
        "Copyright © All rights reserved. | Terms of Use | Privacy Policy | Sitemap",
        "Share this:\nTwitter  Facebook  Email  Print\nLike this:\nLike  Loading...",
        "Related posts\nLeave a comment\nYour email address will not be published. Required fields are marked *",
        "Subscribe to our newsletter and never miss a story.\nEnter your email address  Sign up",
        "« Previous | Next »\nBack to top\nPowered by WordPress",
        "Advertisement\nMost read\nRecommended for you\nTerms  Privacy  Cookies  Help",
    ),
    "zh": (
        "版权所有 未经许可不得转载 | 关于我们 | 联系我们 | 网站地图 | 法律声明",
        "分享到：微信  微博  QQ空间\n责任编辑：admin\n【打印本页】【关闭窗口】",
        "上一篇：没有了\n下一篇：没有了\n相关文章\n暂无评论，快来抢沙发吧！",
        "免责声明：本文仅代表作者个人观点，与本网无关。如有侵权，请联系我们删除。",
        "扫一扫关注微信公众号\n点击下载客户端\n返回顶部",
        "友情链接：新闻网  信息港  论坛\n京ICP备00000000号  技术支持：网络中心",
    ),
}


def boilerplate(batch: pa.RecordBatch, seed: int) -> Told:
    """Each document between a header and a footer, in Chinese where it is mostly Chinese, else in English."""
    texts = [f"{text}\n" for name in ("en", "zh") for text in HEADERS[name]]
    texts += [f"\n{text}" for name in ("en", "zh") for text in FOOTERS[name]]
    snippets = ch.points_of(pa.array(texts))
    heads, feet = len(HEADERS["en"]), len(FOOTERS["en"])

    def kernel(_: pa.RecordBatch, points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64, list[str]]:
        chinese = mostly_han(points, offsets)
        head = (draw(seeds, 21) % np.uint64(heads)).astype(np.int64)
        foot = (draw(seeds, 22) % np.uint64(feet)).astype(np.int64)
        which = np.stack([head + heads * chinese, 2 * heads + foot + feet * chinese], axis=1).ravel()
        places = np.stack([offsets[:-1], offsets[1:]], axis=1).ravel()
        document = np.repeat(np.arange(len(head)), 2)
        edits = Edits(document, places, np.zeros(len(places), dtype=np.int64), which)
        names = np.where(chinese, "zh", "en").tolist()
        told = [f"{n}: header {h}, footer {f}" for n, h, f in zip(names, head.tolist(), foot.tolist(), strict=True)]
        return *spliced(points, offsets, edits, snippets), told

    return told_by(batch, kernel, seed, f"boilerplate {seed}")
