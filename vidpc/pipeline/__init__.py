"""Whole runs: ``drive`` composes the calls that every run is made of; one file a subcommand says what goes in and comes out."""
