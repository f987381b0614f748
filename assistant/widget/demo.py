"""The demo site: Parley answers questions about itself, in English and Chinese."""

from __future__ import annotations

from assistant.widget.models import Site

DEMO_SLUG = "demo"
GREETING = {
    "en": "Hello! Ask me anything about Parley: installing it, embedding it, running it.",
    "zh-hans": "您好！关于 Parley 的安装、嵌入和运行，都可以问我。",
}
STARTERS = {
    "en": [
        "How do I start Parley?",
        "How do I put the widget on my own site?",
        "Which database does it use?",
        "How do I add my own documents?",
    ],
    "zh-hans": [
        "怎样启动 Parley？",
        "怎样把聊天组件放到我的网站上？",
        "它使用什么数据库？",
        "怎样添加我自己的文档？",
    ],
}


def create_demo_site() -> tuple[Site, bool]:
    """The demo site and whether it is new. An existing one is left as its operator made it."""
    return Site.objects.get_or_create(
        slug=DEMO_SLUG,
        defaults={
            "name": "Parley",
            "scenario": "support",
            "default_locale": "en",
            "greeting": GREETING,
            "starters": STARTERS,
        },
    )
