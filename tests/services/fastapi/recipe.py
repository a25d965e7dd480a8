from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class SummarizeIn(BaseModel):
    text: str


@app.post("/summarize", operation_id="summarize_text")
def summarize(body: SummarizeIn):
    return {"summary": body.text[:24]}
