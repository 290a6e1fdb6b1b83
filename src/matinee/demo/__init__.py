"""The demo: a page on which anyone picks films and sees what each model makes of them.

`opened` loads the models, `asking` turns what stands on the page into a query, `answers` asks the models, `cards`
writes HTML, `words` has the texts: none of them knows Streamlit. `page` and the modules it imports lay out, `start`
starts the server.
"""
