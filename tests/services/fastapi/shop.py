"""A shop, with what FastAPI describes in its own ways: bodies by reference, anyOf with null, lists in queries, files."""

from fastapi import FastAPI, File, Form, HTTPException, Query, UploadFile
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float | None = None
    tags: list[str] = []
    tenant: str


@app.post("/items", operation_id="add_item")
def add(item: Item) -> Item:
    return item


@app.get("/items/{item_id}", operation_id="get_item")
def get(item_id: str):
    return {"item_id": item_id}


@app.get("/search", operation_id="search_items")
def search(tenant: str, q: list[str] = Query(default=[]), limit: int | None = None):
    return {"q": q, "limit": limit, "tenant": tenant}


@app.post("/files", operation_id="upload_file")
async def upload(file: UploadFile = File(), title: str = Form()):
    return {"name": file.filename, "type": file.content_type, "size": len(await file.read()), "title": title}


@app.get("/forbidden", operation_id="forbidden")
def forbidden():
    raise HTTPException(status_code=403, detail="not you")


@app.get("/healthz")
def healthz():
    return {}
