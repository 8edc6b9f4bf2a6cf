"""Stages that turn files into Collections and Collections into others."""
