"""Announcements to look at and to test letters with: of every type, long and short, some of them in Arabic and Chinese,
with what makes letters hard to lay out. The day is 2 March 2026."""

import datetime as dt
from collections.abc import Iterator

TODAY = dt.date(2026, 3, 2)

GUIDE = """---
key: guide
title: "Call for comments: draft guide to generative AI for IP offices (2026)"
date: 2026-02-27
type: call
deadline: 2026-03-06
topics: [policy]
url: https://www.example.org/en/guide
author: Amina Diallo
image: https://www.example.org/guide.png
image-alt: The cover of the draft guide, a compass on blue paper
summary: A draft guide for offices that use generative AI, or think of doing so, is open for comment until 6 March.
---
The guide deals with [prior art searches](https://example.org/search), answers to applicants’ questions and the
[protection of confidential filings](https://example.org/filings). The secretariat would be glad to hear from offices,
applicants and developers:

- Which uses are missing from the draft?
- Which safeguards have **proved themselves** in practice?
- Where is the text unclear?

## How to comment

1. Read the [draft](https://example.org/draft).
2. Write up to four pages, in any of six languages.

> A guide is as good as the practice behind it.
"""
GUIDE_AR = """---
translation-of: guide
language: ar
title: دعوة إلى التعليق على مشروع دليل الذكاء الاصطناعي التوليدي لمكاتب الملكية الفكرية (2026)
date: 2026-02-27
url: https://www.example.org/ar/guide
author: أمينة ديالو
image: https://www.example.org/guide.png
image-alt: غلاف مشروع الدليل، بوصلة على ورق أزرق
summary: يُعرض للتعليق حتى 6 مارس مشروع دليل للمكاتب التي تستخدم الذكاء الاصطناعي التوليدي أو تفكر في استخدامه.
---
WIPO تدعو إلى التعليق. يتناول الدليل [البحث في التقنية السابقة](https://example.org/search) والإجابة عن أسئلة المودعين
و[حماية الإيداعات السرية](https://example.org/filings).

- ما الاستخدامات الغائبة عن المشروع؟
- ما الضمانات التي **أثبتت جدواها** عمليا، مثل ISO 27001؟
- أين يفتقر النص إلى الوضوح؟

## كيفية التعليق

1. اقرأ [المشروع](https://example.org/draft).
2. اكتب أربع صفحات على الأكثر بأي من اللغات الست.

> لا يكون الدليل أفضل من الممارسة التي يستند إليها.
"""
GUIDE_ZH = """---
translation-of: guide
language: zh
title: 征求意见：知识产权局生成式人工智能指南草案（2026年）
date: 2026-02-27
url: https://www.example.org/zh/guide
image: https://www.example.org/guide.png
image-alt: 指南草案封面，蓝纸上的罗盘
summary: 面向使用或考虑使用生成式人工智能的各局的指南草案，现征求意见至3月6日。
---
指南涉及[现有技术检索](https://example.org/search)、答复申请人的问题以及[保密申请的保护](https://example.org/filings)。秘书处希望听取各局、申请人和开发者的意见。

- 草案遗漏了哪些用途？
- 哪些保障措施已在实践中**证明有效**？
- 案文何处不够清楚？

## 如何提交意见

1. 阅读[草案](https://example.org/draft)。
2. 用六种语言中任何一种撰写至多四页的意见。

> 指南的好坏取决于其背后的实践。
"""
REPORT = """---
key: report
title: "New report: how generative models are trained"
date: 2026-02-24
type: publication
topics: [copyright]
url: https://www.example.org/en/report
author: Li Wei, Research Department
---
What happens to a text, a picture or a song when a generative model is trained on it? This short report follows the
material from its collection to the finished model, in terms that call for no technical background.
"""
REPORT_AR = """---
translation-of: report
language: ar
title: "تقرير جديد: كيف تُدرَّب النماذج التوليدية"
date: 2026-02-24
url: https://www.example.org/ar/report
---
ماذا يحدث لنص أو صورة أو أغنية عندما يُدرَّب عليها نموذج توليدي؟ يتتبع هذا التقرير القصير المواد من جمعها
إلى النموذج المكتمل.
"""
REPORT_ZH = """---
translation-of: report
language: zh
title: 新报告：生成式模型是如何训练的
date: 2026-02-24
url: https://www.example.org/zh/report
---
当生成式模型用一篇文字、一幅图画或一首歌曲进行训练时，会发生什么？这份简短的报告追踪材料从收集到模型完成的全过程，无需技术背景即可阅读。
"""
BRIEFING = """---
key: briefing
title: "Online briefing: how to take part in the next Conversation"
date: 2026-02-20
type: event
deadline: 2026-04-10
topics: [policy]
url: https://www.example.org/en/briefing
---
The next Conversation will be about training data. A briefing on Wednesday, 15 April 2026, from 13:00 to 14:30 UTC, will
present the programme and explain how to propose a speaker.
"""
PRIZE = """---
key: prize
title: Nominations for the young inventors’ prize
date: 2026-02-10
type: call
deadline: 2026-02-28
topics: [policy]
---
Any national office may name two candidates. The form fits on one page.
"""
RECAP = """---
key: conversation
title: Twelfth Conversation closes with 160 countries at the table
date: 2026-02-06
topics: [policy, copyright]
url: https://www.example.org/en/conversation
---
Over two days participants examined how models learn, who may claim what they produce, and what use
offices make of them.
"""
TRANSLATIONS = {"guide": (GUIDE_AR, GUIDE_ZH), "report": (REPORT_AR, REPORT_ZH)}


def announcements(count: int) -> Iterator[str]:
    """`count` announcement files, each followed by its translations."""
    for text in (GUIDE, REPORT, BRIEFING, PRIZE, RECAP, *map(further, range(6, count + 1)))[:count]:
        yield text
        yield from next((texts for key, texts in TRANSLATIONS.items() if f"\nkey: {key}\n" in text), ())


def further(number: int) -> str:
    return f"""---
key: note-{number}
title: Note {number} of the secretariat on patents, trademarks and designs
date: 2026-01-{number:02}
url: https://www.example.org/en/notes/{number}
---
The secretariat has put a note on its page that says in plain words what changed this month. It is two pages long.
"""
