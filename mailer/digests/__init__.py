"""Announcements, the digests they are collected into, and the sending of a digest to everyone confirmed."""
