"""Whole turns against written expectations: `manage.py evaluate`.

cases     what is asked and what is expected (JSON lines)
driver    asks it, through the services that people's questions go through
scoring   compares what came with what was expected
figures   sums it up
"""
